import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.stream.Collectors.joining;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.UUID;

/**
 * Produce, consume in a group, and tail a topic, with java.net.http alone. The JDK reads no JSON:
 * answers are printed as they came.
 *
 * <pre>
 *   java Example.java produce BASE_URL TOPIC
 *   java Example.java consume BASE_URL TOPIC GROUP
 *   java Example.java tail    BASE_URL TOPIC
 * </pre>
 */
public class Example {
    private static final String V2 = "application/vnd.kafka.v2+json";
    private static final long RECONNECT_MS = 1000;

    private final HttpClient client = HttpClient.newHttpClient();
    private final String base;
    private final String topic;
    private String lastId = ""; // of the last event of the tail

    Example(String base, String topic) {
        this.base = base.replaceFirst("/$", "");
        this.topic = topic;
    }

    void produce() throws IOException, InterruptedException {
        String records = """
                {"records": [
                  {"key": "UA", "value": {"flight": 1545, "dest": "IAH"}},
                  {"key": "AA", "value": {"flight": 1141, "dest": "MIA"}},
                  {"key": "B6", "value": {"flight": 725, "dest": "BQN"}}]}""";
        System.out.println(post(base + "/v1/topics/" + topic + "/records", "application/json", records));
    }

    /** Reads what the group has not read yet, until there is nothing more. */
    void consume(String group) throws IOException, InterruptedException {
        String name = "java-" + UUID.randomUUID();
        String me = base + "/consumers/" + group + "/instances/" + name;
        post(base + "/consumers/" + group, V2, """
                {"name": "%s", "format": "json", "auto.offset.reset": "earliest",
                 "enable.auto.commit": false}""".formatted(name));
        try {
            post(me + "/subscription", V2, """
                    {"topics": ["%s"]}""".formatted(topic));
            while (true) {
                String records = ask(HttpRequest.newBuilder(URI.create(me + "/records?timeout=5000"))
                        .header("Accept", "application/vnd.kafka.json.v2+json"));
                if (records.equals("[]")) {
                    return;
                }
                System.out.println(records);
                post(me + "/offsets", V2, ""); // commits all that was delivered
            }
        } finally {
            ask(HttpRequest.newBuilder(URI.create(me)).DELETE()); // others get the partitions at once
        }
    }

    /** Shows new records until it is interrupted; goes on where it was when the connection breaks. */
    void tail() throws IOException, InterruptedException {
        URI stream = URI.create(base + "/v1/topics/" + topic + "/stream");
        while (true) {
            HttpRequest.Builder request = HttpRequest.newBuilder(stream)
                    .header("Accept", "text/event-stream");
            if (!lastId.isEmpty()) {
                request.header("Last-Event-ID", lastId);
            }
            try {
                showEvents(client.send(request.build(), BodyHandlers.ofInputStream()));
            } catch (Refused refused) {
                if (refused.status < 500) {
                    throw refused; // it would be refused again
                }
                System.err.println(refused.getMessage() + "; connecting again");
            } catch (IOException broken) {
                System.err.println(broken + "; connecting again");
            }
            Thread.sleep(RECONNECT_MS);
        }
    }

    /** Prints the records of a stream of server-sent events, and keeps the id of the last event. */
    private void showEvents(HttpResponse<InputStream> response) throws IOException {
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(response.body(), UTF_8))) {
            if (response.statusCode() != 200) {
                throw new Refused(response, lines.lines().collect(joining()));
            }
            String event = "";
            String id = lastId;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] field = line.split(": ?", 2);
                switch (field[0]) {
                    case "event" -> event = field[1];
                    case "id" -> id = field[1];
                    case "data" -> {
                        if (event.equals("records")) {
                            System.out.println(field[1]);
                        }
                    }
                    default -> lastId = id; // an empty line ends an event
                }
            }
        }
    }

    private String post(String url, String mediaType, String body) throws IOException, InterruptedException {
        return ask(HttpRequest.newBuilder(URI.create(url))
                .header("Content-Type", mediaType)
                .POST(BodyPublishers.ofString(body)));
    }

    /** The answer's body; throws what the broker says where it refuses. */
    private String ask(HttpRequest.Builder builder) throws IOException, InterruptedException {
        HttpResponse<String> response = client.send(builder.build(), BodyHandlers.ofString());
        if (response.statusCode() >= 300) {
            throw new Refused(response, response.body());
        }
        return response.body();
    }

    /** What the broker says instead of doing what was asked. */
    private static class Refused extends IOException {
        final int status;

        Refused(HttpResponse<?> response, String said) {
            super("%s %s: %d %s".formatted(
                    response.request().method(), response.uri(), response.statusCode(), said));
            status = response.statusCode();
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        String command = arguments.length < 3 ? "" : arguments[0];
        String group = arguments.length < 4 ? "" : arguments[3];
        try {
            if (command.equals("produce")) {
                new Example(arguments[1], arguments[2]).produce();
            } else if (command.equals("consume") && !group.isEmpty()) {
                new Example(arguments[1], arguments[2]).consume(group);
            } else if (command.equals("tail")) {
                new Example(arguments[1], arguments[2]).tail();
            } else {
                System.err.println("java Example.java produce|consume|tail BASE_URL TOPIC [GROUP]");
                System.exit(2);
            }
        } catch (IOException problem) {
            System.err.println(problem instanceof Refused ? problem.getMessage() : problem);
            System.exit(1);
        }
    }
}
