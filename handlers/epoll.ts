/**
 * `epoll-v1`: an interest list over files of the same session (epoll(7)).
 *
 * Preserved:
 * - each entry: its file, its events with their flags, its 64 bits of data
 * - readiness: what is ready, is reported
 * - epolls in epolls
 *
 * Not preserved:
 * - the epoll itself: the new build gets a new one with the same entries
 * - the numbers of entries: each has one of its own, until it is bound to the application's with {@linkcode takeInterest} (as
 *   `live.epoll` does) and can be changed again
 * - that an edge was told: what is ready is told once more
 * - that an entry with `EPOLLONESHOT` was disarmed against errors and hang-ups, too: epoll_ctl(2) always adds these
 *
 * Taken with: `live.epoll`.
 *
 * An entry on a file that is not preserved in the same session refuses the update. Why the epoll is made anew:
 * `docs/adr/0014-an-epoll-is-made-anew.md`.
 *
 * @module
 */
import { Fields } from "../kho/abi/fields.ts";
import { wrongKind } from "./descriptor.ts";
import type { CheckArgs, FileHandler, OutgoingArgs } from "../luo/handler.ts";
import { addInterest, createEpoll } from "../sys/epoll.ts";
import type { OwnedFd } from "../sys/mod.ts";
import { anonymousKind } from "./anonymous.ts";
import { arriveInterests, CarriedInterest, finishInterests } from "./epoll_interests.ts";
import { entryTokens } from "./epoll_tokens.ts";
import { decodeRecord, encodeRecord, recordVersion } from "./record.ts";

const NAME = "epoll-v1";
const VERSION = 1;

/** An entry, as it crosses. */
type EntryRecord = { data: bigint; events: number; token: bigint };

/** Carries epolls. */
export const epollHandler: FileHandler = {
  compatible: NAME,
  version: VERSION,
  check(args) {
    const version = recordVersion(args.kho.blob(args.serializedData), NAME);
    if (version === VERSION) readEntries(args);
    return version;
  },
  standIn: createEpoll,
  canPreserve: ({ fd }) => anonymousKind(fd) === "eventpoll",
  preserve(args) {
    // Which files the others are, is known when all of them are preserved: at the freeze.
    args.serializedData = args.kho.preserveBlob(encodeRecord(VERSION, { entries: [] }));
  },
  unpreserve({ kho, serializedData }) {
    kho.unpreserveBlob(serializedData);
  },
  freeze(args) {
    args.kho.replaceBlob(args.serializedData, encodeRecord(VERSION, { entries: entriesOf(args) }));
  },
  retrieve(args): OwnedFd {
    using undo = new DisposableStack();
    const epoll = undo.use(createEpoll());
    const interests = readEntries(args).map(({ token, events, data }) => {
      const file = undo.use(args.retrieveFd(token));
      addInterest(epoll.fd, file.fd, { events, data });
      return new CarriedInterest(token, { events, data }, file);
    });
    arriveInterests(epoll.fd, interests);
    undo.move();
    return epoll;
  },
  finish({ fd }) {
    if (fd !== null) finishInterests(fd);
  },
};

function entriesOf(args: OutgoingArgs): EntryRecord[] {
  if (anonymousKind(args.fd) !== "eventpoll") throw wrongKind(args.fd, "an epoll");
  return entryTokens(args).map(({ token, events, data }) => ({ data, events, token }));
}

function readEntries({ kho, serializedData }: Pick<CheckArgs, "kho" | "serializedData">): EntryRecord[] {
  return decodeRecord(kho.blob(serializedData), NAME, VERSION).list("entries", (value, place) => {
    const entry = new Fields(value, place);
    return {
      data: entry.u64("data"),
      events: entry.int("events", 0xffff_ffff),
      token: entry.u64("token"),
    };
  });
}
