/**
 * Answers that are complete, and when they leave. The runtime reads a connection for as long as something comes, up to 32
 * times, before it turns to the next one; and it finishes an answer only after all of them. So a client that asks again at
 * once would find its connection still occupied, and if it did not, it would keep all others waiting.
 *
 * Happy path: {@linkcode writeWhole} writes the first answer of a connection in this turn of the event loop at once, and
 * a second one at the end of the turn; {@linkcode settleAfterReading} finishes both before the next request is read.
 *
 * Unhappy paths:
 * 1. Something is in the way (see `runtime_answer.ts`): false, and the runtime has to do it.
 * 2. The connection ends before the end of the turn: the answer is closed, as one that nobody takes.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import process from "node:process";

import { afterParsing, claim, finish, give, socketFor, type WholeAnswer } from "./runtime_answer.ts";

/** In which turn a connection has had an answer last. */
const ANSWERED = Symbol("answered");

/** Counts the turns in which there was an answer. */
let turn = 0;
let turnEnds = false;

/** Answers that leave at the end of this turn. */
let waiting: WholeAnswer[] = [];

/** Answers that are with the kernel, and not finished yet. */
let given: ServerResponse[] = [];

/**
 * Writes a whole answer, and ends it.
 *
 * @param answer an answer of which nothing is written yet
 * @returns false if this is not possible; then nothing was done
 */
export function writeWhole(answer: WholeAnswer): boolean {
  const socket: (Socket & { [ANSWERED]?: number }) | null = socketFor(answer.res);
  if (socket === null) return false;
  claim(answer, socket);
  expectEnd();
  if (socket[ANSWERED] === turn) {
    waiting.push(answer);
  } else {
    socket[ANSWERED] = turn;
    if (give(answer, socket)) given.push(answer.res);
  }
  return true;
}

/**
 * Lets the answers of a connection be finished as soon as its parser is through with what has come. Not before: until then
 * the runtime still stops the timer of a silent connection, which the end of an answer starts.
 *
 * @param socket a connection of a `node:http` server
 */
export function settleAfterReading(socket: Socket): void {
  afterParsing(socket, settle);
}

function expectEnd(): void {
  if (turnEnds) return;
  turnEnds = true;
  process.nextTick(endTurn);
}

function endTurn(): void {
  turnEnds = false;
  turn++;
  const answers = waiting;
  waiting = [];
  for (const answer of answers) {
    const { socket } = answer.res;
    if (socket !== null && !socket.destroyed && give(answer, socket)) given.push(answer.res);
  }
  settle();
}

function settle(): void {
  while (given.length > 0) {
    const answers = given;
    given = [];
    for (const res of answers) finish(res);
  }
}
