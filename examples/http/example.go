// Produce, consume in a group, and tail a topic, with net/http alone.
//
//	go run example.go produce BASE_URL TOPIC
//	go run example.go consume BASE_URL TOPIC GROUP
//	go run example.go tail    BASE_URL TOPIC
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	v2            = "application/vnd.kafka.v2+json"
	reconnectWait = time.Second
)

type result struct {
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
	Error     string `json:"error,omitempty"`
	Message   string `json:"message,omitempty"`
}

// refusal is what the broker says instead of doing what was asked.
type refusal struct {
	request string
	status  int
	said    string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %d %s", r.request, r.status, r.said) }

// ask sends a request and gives the answer, whose body the caller closes. What the broker refuses
// is a *refusal.
func ask(method, url, body string, headers map[string]string) (*http.Response, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		said, _ := io.ReadAll(response.Body)
		return nil, &refusal{method + " " + url, response.StatusCode, string(said)}
	}
	return response, nil
}

// askFor is ask for an answer in JSON, decoded into answer; nil: there is none.
func askFor(answer any, method, url, body string, headers map[string]string) error {
	response, err := ask(method, url, body, headers)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func produce(base, topic string) error {
	body := `{"records": [
		{"key": "UA", "value": {"flight": 1545, "dest": "IAH"}},
		{"key": "AA", "value": {"flight": 1141, "dest": "MIA"}},
		{"key": "B6", "value": {"flight": 725, "dest": "BQN"}}]}`
	var answer struct{ Offsets []result }
	url := base + "/v1/topics/" + topic + "/records"
	headers := map[string]string{"Content-Type": "application/json"}
	if err := askFor(&answer, "POST", url, body, headers); err != nil {
		return err
	}
	for _, each := range answer.Offsets {
		if each.Error != "" {
			return fmt.Errorf("%s: %s", each.Error, each.Message)
		}
		fmt.Printf(`{"partition":%d,"offset":%d}`+"\n", each.Partition, each.Offset)
	}
	return nil
}

// consume reads what the group has not read yet, until there is nothing more.
func consume(base, topic, group string) (err error) {
	headers := map[string]string{"Content-Type": v2}
	var me struct {
		URI string `json:"base_uri"`
	}
	create := `{"format": "json", "auto.offset.reset": "earliest", "enable.auto.commit": false}`
	if err := askFor(&me, "POST", base+"/consumers/"+group, create, headers); err != nil {
		return err
	}
	defer func() { // others get the partitions at once
		if left := askFor(nil, "DELETE", me.URI, "", nil); err == nil {
			err = left
		}
	}()
	topics, err := json.Marshal(map[string][]string{"topics": {topic}})
	if err != nil {
		return err
	}
	if err := askFor(nil, "POST", me.URI+"/subscription", string(topics), headers); err != nil {
		return err
	}
	accept := map[string]string{"Accept": "application/vnd.kafka.json.v2+json"}
	for {
		var records []json.RawMessage
		if err := askFor(&records, "GET", me.URI+"/records?timeout=5000", "", accept); err != nil {
			return err
		}
		if len(records) == 0 {
			return nil
		}
		for _, record := range records {
			fmt.Println(string(record))
		}
		// Commits all that was delivered.
		if err := askFor(nil, "POST", me.URI+"/offsets", "", headers); err != nil {
			return err
		}
	}
}

// tail shows new records until it is interrupted; it goes on where it was when the connection
// breaks.
func tail(base, topic string) error {
	url := base + "/v1/topics/" + topic + "/stream"
	headers := map[string]string{"Accept": "text/event-stream"}
	for {
		response, err := ask("GET", url, "", headers)
		if err == nil {
			err = showEvents(response.Body, func(id string) { headers["Last-Event-ID"] = id })
			response.Body.Close()
		}
		var refused *refusal
		if errors.As(err, &refused) && refused.status < 500 {
			return err // it would be refused again
		}
		fmt.Fprintf(os.Stderr, "%v; connecting again\n", err)
		time.Sleep(reconnectWait)
	}
}

// showEvents prints the records of a stream of server-sent events, and tells the id of each event.
func showEvents(stream io.Reader, seen func(id string)) error {
	var event, id string
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "event":
			event = value
		case name == "id":
			id = value
		case name == "data" && event == "records":
			if err := showRecords(value); err != nil {
				return err
			}
		case name == "": // an empty line ends an event
			event = ""
			if id != "" {
				seen(id)
			}
		}
	}
}

func showRecords(data string) error {
	var page struct{ Records []json.RawMessage }
	if err := json.Unmarshal([]byte(data), &page); err != nil {
		return err
	}
	for _, record := range page.Records {
		fmt.Println(string(record))
	}
	return nil
}

func main() {
	arguments := append(os.Args[1:], "", "", "", "")
	command, base, topic, group := arguments[0], arguments[1], arguments[2], arguments[3]
	base = strings.TrimSuffix(base, "/")
	var err error
	switch {
	case command == "produce" && topic != "":
		err = produce(base, topic)
	case command == "consume" && group != "":
		err = consume(base, topic, group)
	case command == "tail" && topic != "":
		err = tail(base, topic)
	default:
		fmt.Fprintln(os.Stderr, "go run example.go produce|consume|tail BASE_URL TOPIC [GROUP]")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
