import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.stream.Collectors;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

/**
 * A chat for polling clients.
 *
 * <pre>
 * GET  ?since=N      the messages after number N, as a JSON array
 * POST name=&amp;text=   adds a message
 * </pre>
 *
 * It uses only the servlet API, without Continuations or asynchronous requests.
 */
public final class ChatServlet extends HttpServlet {
    private static final int KEPT = 200; // messages; older ones are deleted

    private record Message(long id, String name, String text, long time) {
        String json() {
            return "{\"id\": " + id + ", \"name\": " + quote(name) + ", \"text\": " + quote(text) + ", \"time\": " + time + "}";
        }
    }

    // Guarded by this. IDs start at the current time, so that pages that were open before a
    // restart see later messages.
    private final Deque<Message> messages = new ArrayDeque<>();
    private long last = System.currentTimeMillis();

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String since = request.getParameter("since");
        if (since == null || !since.matches("[0-9]{1,18}")) {
            response.sendError(HttpServletResponse.SC_BAD_REQUEST, "since must be the number of a message");
            return;
        }
        answer(response, HttpServletResponse.SC_OK, since(Long.parseLong(since)));
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        request.setCharacterEncoding("UTF-8");
        String name = request.getParameter("name");
        String text = request.getParameter("text");
        if (name == null || name.isBlank() || name.length() > 40 || text == null || text.isBlank() || text.length() > 1000) {
            response.sendError(HttpServletResponse.SC_BAD_REQUEST, "name (40 characters) or text (1000) is missing or too long");
            return;
        }
        answer(response, HttpServletResponse.SC_CREATED, add(name.strip(), text.strip()));
    }

    private synchronized String since(long id) {
        return messages.stream().filter(message -> message.id > id).map(Message::json).collect(Collectors.joining(", ", "[", "]"));
    }

    private synchronized String add(String name, String text) {
        Message message = new Message(++last, name, text, System.currentTimeMillis());
        messages.add(message);
        if (messages.size() > KEPT) {
            messages.remove();
        }
        return message.json();
    }

    private static void answer(HttpServletResponse response, int status, String json) throws IOException {
        response.setStatus(status);
        response.setContentType("application/json; charset=utf-8");
        response.setHeader("Cache-Control", "no-store");
        response.getWriter().write(json);
    }

    private static String quote(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
