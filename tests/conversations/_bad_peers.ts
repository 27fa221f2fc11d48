/**
 * What peers do wrong, or do in a way that is easily taken for wrong.
 *
 * @module
 */
import { LAST } from "./_http_exact.ts";
import type { Peer } from "./_peer.ts";

const GET = "GET / HTTP/1.1\r\nhost: example.org\r\n\r\n";
const HALF_HEAD = GET.slice(0, 25);
const HALF_BODY = "POST /echo HTTP/1.1\r\nhost: example.org\r\ncontent-length: 10\r\n\r\n0123";
const BIG = "GET /big HTTP/1.1\r\nhost: example.org\r\n\r\n";

/** How many requests come at once in a flood. */
const FLOOD = 1500;

/** One way to behave. */
export interface Behaviour {
  /** What it is. */
  readonly name: string;
  /** Sent before the update. */
  readonly before?: string;
  /** Done in a phase of the update. */
  act(peer: Peer): void;
  /**
   * What comes of it: an `answer`, the same as without an update; `any`, the server may be heard before it closes, or not;
   * `whole`, answers to those requests that were answered before the end was read, and no half of one; or the peer is
   * `gone`.
   */
  readonly then: "answer" | "any" | "whole" | "gone";
  /** Does it owe something until then? Such a peer has to behave so before the update can go on. */
  readonly owes?: boolean;
}

/** All of them. */
export const BEHAVIOURS: readonly Behaviour[] = [
  { name: "leaves", act: (peer) => peer[Symbol.dispose](), then: "gone" },
  { name: "resets", act: (peer) => peer.reset(), then: "gone" },
  { name: "leaves, idle for long", before: GET, act: (peer) => peer[Symbol.dispose](), then: "gone" },
  { name: "resets, idle for long", before: GET, act: (peer) => peer.reset(), then: "gone" },
  { name: "resets behind a request", before: "", act: (peer) => sends(peer, GET).reset(), then: "gone" },
  { name: "resets in a head", before: HALF_HEAD, act: (peer) => peer.reset(), then: "gone" },
  { name: "leaves in a head", before: HALF_HEAD, act: (peer) => peer[Symbol.dispose](), then: "gone" },
  { name: "resets in a new head", act: (peer) => sends(peer, HALF_HEAD).reset(), then: "gone" },
  { name: "resets in a body", before: HALF_BODY, act: (peer) => peer.reset(), then: "gone", owes: true },
  {
    name: "leaves in a body",
    before: HALF_BODY,
    act: (peer) => peer[Symbol.dispose](),
    then: "gone",
    owes: true,
  },
  { name: "resets in an answer", before: BIG, act: (peer) => peer.reset(), then: "gone", owes: true },
  { name: "resets in a new body", act: (peer) => sends(peer, HALF_BODY).reset(), then: "gone" },
  { name: "finishes behind a request", act: (peer) => sends(peer, GET).finish(), then: "answer" },
  {
    name: "finishes behind three",
    before: GET,
    act: (peer) => sends(peer, GET + GET).finish(),
    then: "whole",
  },
  { name: "finishes before it has said anything", act: (peer) => peer.finish(), then: "answer" },
  { name: "finishes when idle", before: GET, act: (peer) => peer.finish(), then: "answer" },
  { name: "finishes in a head", before: HALF_HEAD, act: (peer) => peer.finish(), then: "answer" },
  {
    name: "finishes behind the rest of a head",
    before: HALF_HEAD,
    act: (peer) => sends(peer, GET.slice(25)).finish(),
    then: "answer",
  },
  {
    name: "sends garbage",
    act: (peer) => void sends(peer, "\x00\xff\x16\x03\x01 what?\r\n\r\n"),
    then: "answer",
  },
  {
    name: "sends garbage behind a request",
    before: GET,
    act: (peer) => void sends(peer, "%%%\r\n\r\n"),
    then: "answer",
  },
  {
    name: "goes on with garbage in a head",
    before: HALF_HEAD,
    act: (peer) => void sends(peer, "\r\nno colon here\r\n\r\n"),
    then: "answer",
  },
  { name: "floods with garbage", act: (peer) => void sends(peer, "\xfe".repeat(1_000_000)), then: "any" },
  {
    name: "sends a head without an end",
    before: HALF_HEAD,
    act: (peer) => void sends(peer, "long".repeat(50_000)),
    then: "any",
  },
  {
    name: "floods with requests",
    act: (peer) => void sends(peer, GET.repeat(FLOOD) + LAST),
    then: "answer",
  },
];

function sends(peer: Peer, text: string): Peer {
  peer.send(text);
  return peer;
}
