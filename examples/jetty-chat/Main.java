import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.concurrent.atomic.AtomicLong;
import javax.servlet.DispatcherType;
import javax.servlet.Filter;
import javax.servlet.FilterChain;
import javax.servlet.ServletException;
import javax.servlet.ServletRequest;
import javax.servlet.ServletResponse;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.FilterHolder;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** A Jetty with the chat at /messages and its own figures at /stats. */
public final class Main {
    /** One thread accepts connections, one selects requests, and six serve them. */
    private static final int THREADS = 8;

    public static void main(String[] arguments) throws Exception {
        Server server = new Server(new QueuedThreadPool(THREADS));
        ServerConnector connector = new ServerConnector(server, 1, 1);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(System.getenv().getOrDefault("JETTY_CHAT_JETTY_PORT", "8095")));
        server.addConnector(connector);

        Figures figures = new Figures();
        ServletContextHandler context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
        context.addFilter(new FilterHolder(figures.counted), "/messages", EnumSet.of(DispatcherType.REQUEST));
        context.addServlet(ChatServlet.class, "/messages");
        context.addServlet(new ServletHolder(figures), "/stats");
        server.setHandler(context);
        server.start();
        server.join();
    }

    /** Counts the polls, and measures how long the chat's requests keep threads busy. */
    private static final class Figures extends HttpServlet {
        private final AtomicLong asked = new AtomicLong();
        private final AtomicLong busy = new AtomicLong(); // nanoseconds, of all threads together

        final Filter counted = new Filter() {
            @Override
            public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
                if (((HttpServletRequest) request).getMethod().equals("GET")) {
                    asked.incrementAndGet();
                }
                long begin = System.nanoTime();
                try {
                    chain.doFilter(request, response);
                } finally {
                    busy.addAndGet(System.nanoTime() - begin);
                }
            }
        };

        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.setContentType("application/json");
            response.setHeader("Cache-Control", "no-store");
            response.getWriter().printf("{\"asked\": %d, \"busy\": %d, \"threads\": %d, \"memory\": %d}",
                asked.get(), busy.get(), THREADS, memory());
        }

        /** The memory of the process in bytes, or 0 if the system does not provide it. */
        private static long memory() throws IOException {
            try (var status = Files.lines(Path.of("/proc/self/status"))) {
                return status.filter(line -> line.startsWith("VmRSS:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) << 10).findFirst().orElse(0);
            } catch (NoSuchFileException e) {
                return 0;
            }
        }
    }
}
