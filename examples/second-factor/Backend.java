import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Logins with a second factor. One thread serves one request at a time.
 *
 * <pre>
 * POST /login?userName=U           begins a login: a number to compare, and a cookie
 * GET  /login?userName=U           the login that needs U's decision, or 204 if there is none
 * GET  /authentication?userName=U  U's decision, 204 if there is none yet, 403 without that cookie
 * POST /authentication?userName=U&amp;number=N&amp;decision=D   D is approved or denied
 * GET  /stats                      how often a decision was requested
 * </pre>
 *
 * No request waits here.
 */
public final class Backend {
    private static final Duration LIFE = Duration.ofMinutes(5); // lifetime of a login
    private static final Pattern QUERY = Pattern.compile("userName=([a-z]{1,20})(?:&number=([0-9]{2})&decision=(approved|denied))?");

    /** A login. Its decision is null until there is one, and JSON after that. */
    private record Login(String cookie, String number, String decision, Instant end) {}

    private record Answer(int status, String json) {}

    // Used only by the server's thread.
    private final Map<String, Login> logins = new HashMap<>();
    private final SecureRandom random = new SecureRandom();
    private long asked;

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("SECOND_FACTOR_JAVA_PORT", "8093"));
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.createContext("/", new Backend()::serve);
        server.start(); // without an executor, the server's own thread serves all requests
    }

    private void serve(HttpExchange exchange) throws IOException {
        Answer answer = answer(exchange);
        byte[] body = answer.json.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.getResponseHeaders().set("Cache-Control", "no-store");
        exchange.sendResponseHeaders(answer.status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private Answer answer(HttpExchange exchange) {
        URI uri = exchange.getRequestURI();
        String what = exchange.getRequestMethod() + " " + uri.getPath();
        if (what.equals("GET /stats")) {
            return new Answer(200, "{\"asked\": " + asked + "}");
        }
        Matcher query = QUERY.matcher(uri.getRawQuery() == null ? "" : uri.getRawQuery());
        if (!query.matches()) {
            return new Answer(400, "{\"error\": \"userName is up to 20 small letters, number two digits, decision approved or denied\"}");
        }
        String userName = query.group(1);
        logins.values().removeIf(login -> login.end.isBefore(Instant.now()));
        return switch (what) {
            case "POST /login" -> begin(userName, exchange);
            case "GET /login" -> waiting(logins.get(userName));
            case "GET /authentication" -> decision(logins.get(userName), exchange);
            case "POST /authentication" -> decide(userName, query.group(2), query.group(3));
            default -> new Answer(404, "{\"error\": \"there is nothing here but /login, /authentication and /stats\"}");
        };
    }

    /** Begins a login. An earlier login of the same name ends. */
    private Answer begin(String userName, HttpExchange exchange) {
        byte[] secret = new byte[16];
        random.nextBytes(secret);
        String cookie = "login-" + userName + "=" + HexFormat.of().formatHex(secret);
        Login login = new Login(cookie, "" + random.nextInt(10, 100), null, Instant.now().plus(LIFE));
        logins.put(userName, login);
        exchange.getResponseHeaders().set("Set-Cookie", cookie + "; Path=/; HttpOnly; SameSite=Strict");
        return new Answer(201, "{\"number\": " + login.number + "}");
    }

    private Answer waiting(Login login) {
        if (login == null || login.decision != null) {
            return new Answer(204, "");
        }
        return new Answer(200, "{\"number\": " + login.number + "}");
    }

    private Answer decision(Login login, HttpExchange exchange) {
        asked++;
        String cookies = "; " + exchange.getRequestHeaders().getFirst("Cookie") + "; ";
        if (login == null || !cookies.contains("; " + login.cookie + "; ")) {
            return new Answer(403, "{\"error\": \"this is not your login, or it is over\"}");
        }
        if (login.decision == null) {
            return new Answer(204, "");
        }
        return new Answer(200, login.decision);
    }

    private Answer decide(String userName, String number, String decision) {
        Login login = logins.get(userName);
        if (login == null || login.decision != null || !login.number.equals(number)) {
            return new Answer(409, "{\"error\": \"no login with this number waits for a decision\"}");
        }
        String json = "{\"decision\": \"" + decision + "\", \"time\": " + System.currentTimeMillis() + "}";
        logins.put(userName, new Login(login.cookie, login.number, json, login.end));
        return new Answer(200, json);
    }
}
