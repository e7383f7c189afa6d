// Tells what npm's EventSource hears at a URL, an event a line.
import { EventSource } from "eventsource";

const events = new EventSource(process.argv[2]);
events.onmessage = (event) => console.log(event.data);
