/**
 * The program of a guardian: `deno run -A guardian_main.ts`, socket on 3, pidfd of the service on 4.
 *
 * It has no event loop to speak of: it blocks in `poll` until the service commits, dies, or runs out of time. It is a
 * child of the service, and dies of the signals that stop one. It imports no package, so that nothing but its own files
 * can keep it from starting.
 *
 * @module
 */
import { changeDirectory, setCloexec } from "../sys/mod.ts";
import { sendFds } from "../sys/guard.ts";
import { ARMED, SERVICE_NUMBER, SOCKET_NUMBER } from "./guardian/protocol.ts";
import { act } from "./guardian/recover.ts";
import { resign } from "./guardian/resign.ts";
import { Watch } from "./guardian/watch.ts";

if (import.meta.main) guard();

function guard(): never {
  setCloexec(SOCKET_NUMBER, true);
  setCloexec(SERVICE_NUMBER, true);
  // Its own directory, so that it keeps no other from being removed or unmounted.
  changeDirectory("/");
  const watch = new Watch(SOCKET_NUMBER, SERVICE_NUMBER);
  sendFds(SOCKET_NUMBER, new TextEncoder().encode(ARMED), []);
  const end = watch.run();
  if (end === "released") {
    watch.entrusted.forget();
    resign(SERVICE_NUMBER);
    Deno.exit(0);
  }
  act(watch, end, SOCKET_NUMBER, SERVICE_NUMBER);
}
