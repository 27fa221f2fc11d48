import { assertEquals, assertMatch } from "@std/assert";
import { sampleFd, sampleRecord, STATUS } from "../../control/helpers_test.ts";
import { type BacklogFacts, checkBacklog, gatherBacklog, longestPause } from "./backlog.ts";
import { assertLevel } from "./helpers_test.ts";

const GOOD: BacklogFacts = {
  listeners: [{ name: "web", limit: 4096, waiting: 0 }],
  pauseMs: 100,
  somaxconn: 4096,
  abortOnOverflow: 0,
  overflows: 0,
  drops: 0,
};
const check = (changes: Partial<BacklogFacts> = {}) => checkBacklog({ ...GOOD, ...changes });

Deno.test("checkBacklog() says how many connections a second find room", () => {
  assertMatch(assertLevel(check(), "backlog", "ok"), /"web": 4096 may wait, 0 do; .*100 ms .* 40970 new/);
  const small = (changes: Partial<BacklogFacts>) =>
    check({ listeners: [{ name: "web", limit: 99, waiting: 0 }], ...changes });
  assertLevel(small({}), "backlog", "ok");
  assertMatch(assertLevel(small({ pauseMs: 101 }), "backlog", "warning"), /Ask for a longer backlog/);
  assertMatch(assertLevel(small({ pauseMs: 101, somaxconn: 99 }), "backlog", "warning"), /somaxconn/);
  assertMatch(assertLevel(small({ pauseMs: null }), "backlog", "warning"), /assumed/);
  assertLevel(check({ listeners: [{ name: "web", limit: 99, waiting: 90 }] }), "backlog", "warning");
});

Deno.test("checkBacklog() looks at the kernel", () => {
  assertLevel(check(), "somaxconn", "ok");
  assertLevel(check({ somaxconn: 128 }), "somaxconn", "note");
  assertLevel(check(), "abort_on_overflow", "ok");
  assertLevel(check({ abortOnOverflow: 1 }), "abort_on_overflow", "warning");
  assertLevel(check(), "listen_overflows", "ok");
  assertLevel(check({ overflows: 3, drops: 5 }), "listen_overflows", "note");
  assertEquals(
    checkBacklog({
      listeners: [],
      pauseMs: null,
      somaxconn: null,
      abortOnOverflow: null,
      overflows: null,
      drops: null,
    }),
    [],
  );
});

Deno.test("gatherBacklog() takes each carried listener once, and the longest pause", () => {
  const backlog = { waiting: 1, limit: 511 };
  const fds = [
    sampleFd({ class: "preserved", name: "web", fd: 5, backlog }),
    sampleFd({ class: "preserved", name: "web", fd: 6, backlog }),
    sampleFd({ class: "unknown", fd: 7, backlog }),
    sampleFd({ class: "preserved", name: "log", fd: 8 }),
  ];
  const history = [10, 30, null, 20].map((blackout_ms) => sampleRecord({ blackout_ms }));
  const service = { socket: "/s", status: { ...STATUS, fds }, history };
  const facts = gatherBacklog(null, service);
  assertEquals([facts.listeners, facts.pauseMs], [[{ name: "web", ...backlog }], 30]);
  assertEquals([longestPause(null), longestPause({ ...service, history: [] })], [null, null]);
});
