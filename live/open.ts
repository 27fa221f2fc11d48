/**
 * Opens live update for an application.
 *
 * Happy path: the device is opened, the session `heirloom` is taken back if there is one, the control socket is there,
 * and `SIGUSR2` starts an update.
 *
 * Unhappy paths: a handover that cannot be read is `EIO`; a second opening is `EBUSY`; a control socket that another
 * process serves is `EADDRINUSE`. With `HEIRLOOM=off` the application runs as ever, without updates.
 *
 * @module
 */
import { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import type { Taken } from "./http/connections.ts";
import type { FileHandler } from "../luo/handler.ts";
import { isSwitchedOff, orchestrator } from "../luo/process.ts";
import type { OwnedFd } from "../sys/mod.ts";
import { CONTROL_NAME, EVENTS_NAME, openControlSocket, removeAtExit } from "./control_socket.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Live } from "./live.ts";
import { onUpdateSignal } from "./signals.ts";
import { takeover } from "./takeover.ts";

/** How long quiescing may take when nobody says so, in milliseconds. */
export const DEFAULT_QUIESCE_MS = 5000;

/** Milliseconds of probation after which the control socket answers, so that an operator sees what is going on. */
const CONTROL_PATIENCE_MS = 250;

/** How live update is opened. */
export interface OpenOptions {
  /** Run without live update when false, as with `HEIRLOOM=off`. @default {true} */
  enabled?: boolean;
  /** Path of the control socket. Under `heirloom run` the command line's; otherwise `$HEIRLOOM_SOCKET`, or none. */
  socket?: string;
  /** Does SIGHUP start an update even with a controlling terminal? @default {false} */
  hup?: boolean;
  /** How long connections that owe an answer and `quiesce` listeners may take, in milliseconds. @default {5000} */
  quiesceTimeoutMs?: number;
  /** Handlers of the application's own, asked after the built-in ones. */
  handlers?: readonly FileHandler[];
}

let opened = false;

/**
 * Opens live update.
 *
 * @param options how
 * @returns the application's handle
 * @throws {LuoError} `EBUSY` open already, `EIO` the handover cannot be read, `EADDRINUSE` another process serves the
 * control socket, `EINVAL` or `EEXIST` for a handler
 * @throws {RangeError} a time that is none
 */
// deno-lint-ignore require-await -- a failure has to be a rejection, whatever it will wait for one day
export async function open(options: OpenOptions = {}): Promise<Live> {
  if (opened) throw new LuoError("EBUSY", "Cannot open live update: it is open already");
  const quiesceTimeoutMs = options.quiesceTimeoutMs ?? DEFAULT_QUIESCE_MS;
  if (!(quiesceTimeoutMs >= 0 && quiesceTimeoutMs <= 3_600_000)) {
    throw new RangeError(
      `Cannot open live update: quiesceTimeoutMs ${quiesceTimeoutMs} is not from 0 to 3600000`,
    );
  }
  if (takeover.error !== null) {
    throw new LuoError("EIO", `Cannot open live update: ${takeover.error.message}`, {
      cause: takeover.error,
    });
  }
  for (const handler of options.handlers ?? []) orchestrator().registry.register(handler);
  if (options.enabled === false || isSwitchedOff()) {
    opened = true;
    return new Live(new Lifecycle(null, quiesceTimeoutMs));
  }
  using undo = new DisposableStack();
  const device = undo.use(Device.open());
  const named = takeover.self.spec?.socket ?? options.socket ?? Deno.env.get("HEIRLOOM_SOCKET");
  const socket = named === undefined || named.startsWith("/") ? named : `${Deno.cwd()}/${named}`;
  const life = new Lifecycle(device, quiesceTimeoutMs, socket ?? null);
  if (takeover.check === null) {
    if (socket !== undefined) startControl(life, socket);
    updateOnSignal(life, options.hup ?? takeover.self.spec?.hup ?? false);
  } else if (socket !== undefined) {
    takeover.check.take(life.resources, CONTROL_NAME, "control")[Symbol.dispose]();
    takeover.check.channel(EVENTS_NAME);
  }
  undo.move();
  opened = true;
  return new Live(life);
}

function startControl(life: Lifecycle, path: string): void {
  const listener = openControlSocket(path, life.resources);
  const handed = life.resources.claimConnections(CONTROL_NAME);
  const listeners = life.resources.claimConnections(EVENTS_NAME);
  removeAtExit(path, () => takeover.probation?.armed ?? false);
  const patience = takeover.incoming === null ? 0 : CONTROL_PATIENCE_MS;
  life.control.schedule(patience, () => loadControl(life, listener, handed, listeners));
}

async function loadControl(
  life: Lifecycle,
  listener: OwnedFd,
  handed: Taken[],
  listeners: Taken[],
): Promise<void> {
  const [{ createControlPort }, { UpdateFeed }] = await Promise.all([
    import("./control.ts"),
    import("./update_feed.ts"),
  ]);
  if (takeover.incoming === null) await rememberLastWords(life);
  const feed = new UpdateFeed(life, listeners);
  const port = createControlPort(listener, {
    status: () => life.status(),
    fds: async () => (await import("./descriptors.ts")).reportDescriptors(life),
    sessions: () => life.sessions(),
    history: () => life.history.list(),
    update: (id) => life.update(id),
    segment: async () => (await import("./preview.ts")).previewSegment(life),
    upgrade: async (request) => (await life.upgrade(request)).id,
    check: async (request) => (await import("./checks.ts")).checkRequest(life, request),
    watch: (listener) => life.watch(listener),
    events: (response) => feed.attach(response),
  }, handed);
  port.listen();
  life.addPort(port);
}

/** The process that served this socket before ended in the middle of an update: its last words are history now. */
async function rememberLastWords({ history, socket }: Lifecycle): Promise<void> {
  if (socket === null) return;
  const { readLastWords, removeLastWords } = await import("../control/last_words.ts");
  const words = readLastWords(socket);
  if (words !== null) history.add(words);
  removeLastWords(socket);
}

function updateOnSignal(life: Lifecycle, hup: boolean): void {
  onUpdateSignal((signal) => {
    life.upgrade({}).catch((error) =>
      console.error(`heirloom: ${signal}: ${error instanceof Error ? error.message : error}`)
    );
  }, hup);
}
