/**
 * The operations on the device and on sessions, against the API.
 *
 * Happy path: each does what the ioctl of its name does. Unhappy path: the error that the API throws.
 *
 * @module
 */
import { Device } from "../../mod.ts";
import { getCloexec, type OwnedFd } from "../../sys/mod.ts";
import { apiName, type Context, nameBytes, type Operation, target } from "./_context.ts";
import { encodeText, nameField } from "./_encoding.ts";
import { underLimit } from "./_limit.ts";
import { type Args, ScenarioError } from "./_scenario.ts";
import { Shared } from "./_world.ts";

/** A number that no descriptor has. */
const NO_FD = -1;

/** The operations, by name. */
export const LUO_OPERATIONS: Readonly<Record<string, Operation>> = {
  open_dev: openDevice,
  create: (context, args) => create(context, args, false),
  retrieve_session: (context, args) => retrieveSession(context, args, false),
  preserve,
  retrieve,
  finish: ({ world }, args) => world.session(args.text("session")).finish(),
  get_name({ world }, args) {
    const { closed, name } = world.session(args.text("session"));
    if (closed) throw new ScenarioError("the session is closed while there are references to it");
    return { name: encodeText(nameBytes(name)) };
  },
  state: ({ off }) => ({ dev: off ? 0 : 1 }),
};

/** Opens the device, and holds its number against the count of kexecs: each of them is one more. */
function openDevice(context: Context, args: Args): void {
  const device = underLimit(context.world, () => Device.open());
  const { kexecs, wasOff } = context;
  if (!wasOff && device.number !== BigInt(kexecs)) {
    const { number } = device;
    device[Symbol.dispose]();
    throw new ScenarioError(`the liveupdate number is ${number} after ${kexecs} kexecs`);
  }
  context.world.bind(target(args), new Shared({ kind: "device", device }));
}

/**
 * Creates a session.
 *
 * @param useStandIn give a name that is no text in another form
 */
export function create({ world }: Context, args: Args, useStandIn: boolean): void {
  const device = world.device(args.text("dev"));
  const name = apiName(nameField(args.bytes("name")), useStandIn);
  const session = underLimit(world, () => device.createSession(name));
  world.bind(target(args), new Shared({ kind: "session", session }));
}

/**
 * Retrieves a session.
 *
 * @param useStandIn ask for a name that is no text in the form that {@linkcode create} gave it
 */
export function retrieveSession({ world }: Context, args: Args, useStandIn: boolean): void {
  const device = world.device(args.text("dev"));
  const name = apiName(nameField(args.bytes("name")), useStandIn);
  const session = underLimit(world, () => device.retrieveSession(name));
  world.bind(target(args), new Shared({ kind: "session", session }));
}

/** A token is 64 bits wide, whatever is written. */
export function tokenOf(args: Args): bigint {
  return BigInt.asUintN(64, args.big("token"));
}

function preserve(context: Context, args: Args): void {
  const { world, memory } = context;
  const session = world.session(args.text("session"));
  const fd = descriptorOf(context, args);
  session.preserveFd(fd, tokenOf(args));
  memory.preserved(fd);
}

/** The descriptor to preserve: a variable, or a number. What is not open, or no file, is a bad descriptor. */
function descriptorOf({ world }: Context, args: Args): number {
  const raw = args.raw("fd");
  const isNumber = typeof raw === "number" || /^[-+]?\d+$/.test(raw);
  if (!isNumber) return fileOf(world.peek(String(raw)));
  const number = args.number("fd");
  // What the scenario opened has the numbers of the kernel; 0 to 2 are there in any process.
  return number >= 0 && number <= 2 ? number : fileOf(world.numbered(number));
}

function fileOf(thing: ReturnType<Context["world"]["peek"]>): number {
  return thing?.kind === "file" ? thing.fd.fd : NO_FD;
}

function retrieve({ world, memory }: Context, args: Args): { cloexec: number } {
  const session = world.session(args.text("session"));
  const token = tokenOf(args);
  const fd: OwnedFd = underLimit(world, () => session.retrieveFd(token));
  memory.cameBack(fd.fd);
  world.bind(target(args), new Shared({ kind: "file", fd, named: true }));
  return { cloexec: getCloexec(fd.fd) ? 1 : 0 };
}
