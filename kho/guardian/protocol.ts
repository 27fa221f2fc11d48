/**
 * What service and guardian say to each other, besides the words in `guard.ts`, and where the guardian finds what it was
 * started with.
 *
 * Each message is one word; `RETURNING` has an argument. Both sides are started from the same files, so there is no
 * version.
 *
 * @module
 */

/** The guardian's end of the socket. */
export const SOCKET_NUMBER = 3;

/** The pidfd of the service. */
export const SERVICE_NUMBER = 4;

/** The guardian to its service, first of all. */
export const ARMED = "ARMED";

/** The service to its guardian: the plan is in the memfd that comes along. */
export const PLAN = "PLAN";

/** The service to its guardian: the next descriptors, in the order of the plan. */
export const FDS = "FDS";

/** The service to its guardian: the jump failed; there is no plan any more. */
export const FORGET = "FORGET";
