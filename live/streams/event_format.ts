/**
 * Events as they stand in a stream (`text/event-stream` of the HTML standard, section "Server-sent events").
 *
 * Happy path: `encodeEvent({ id: "7", data: "two\nlines" })`.
 *
 * Unhappy path: a field that would end its line and begin another, or say something else than it should: `TypeError`,
 * and nothing is sent.
 *
 * @module
 */

/** An event, or another thing that is said in a stream of events. */
export interface StreamEvent {
  /** What it says; may have several lines. Without it clients tell nobody of the event. */
  data?: string;
  /** What kind of event it is; for clients `message` if absent. One line. */
  event?: string;
  /** What the client says it has had last, when it comes back. One line. */
  id?: string;
  /** Milliseconds after which the client comes back when the connection is lost. */
  retry?: number;
  /** What no program hears. */
  comment?: string;
}

/** A comment of no words: keeps alive what ends silent connections. */
export const HEARTBEAT: Uint8Array = new TextEncoder().encode(":\n\n");

const LINE_END = /\r\n|\r|\n/;

const encoder = new TextEncoder();

/**
 * Writes an event.
 *
 * @param event the event
 * @returns its bytes
 * @throws {TypeError} for an event without any field, or a field that cannot be written
 */
export function encodeEvent(event: StreamEvent): Uint8Array {
  const { data, id, retry, comment } = event;
  let text = "";
  if (comment !== undefined) text += linesOf("comment", comment).map((line) => `: ${line}\n`).join("");
  if (event.event !== undefined) text += `event: ${lineOf("event", event.event)}\n`;
  if (id !== undefined) text += `id: ${lineOf("id", id)}\n`;
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) {
      throw new TypeError(`Cannot send an event: retry ${retry} is no number of milliseconds`);
    }
    text += `retry: ${retry}\n`;
  }
  if (data !== undefined) text += linesOf("data", data).map((line) => `data: ${line}\n`).join("");
  if (text === "") throw new TypeError("Cannot send an event: it has no field");
  return encoder.encode(`${text}\n`);
}

function linesOf(name: string, value: unknown): string[] {
  return textOf(name, value).split(LINE_END);
}

function lineOf(name: string, value: unknown): string {
  const text = textOf(name, value);
  // Clients ignore an id with a NUL, and with it the place to come back to.
  if (LINE_END.test(text) || text.includes("\0")) {
    throw new TypeError(`Cannot send an event: its ${name} has more than one line, or a NUL`);
  }
  return text;
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError(`Cannot send an event: its ${name} is no string`);
}
