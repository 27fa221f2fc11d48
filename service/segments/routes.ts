/**
 * The paths of the segment API and the methods each has. Paths are taken as they were sent: nothing is decoded,
 * and no `..` is resolved, so a path has one spelling and a check cannot be walked around.
 *
 * Happy path: {@linkcode findRoute} and then {@linkcode checkMethod}.
 *
 * Unhappy paths: an unknown path is a 404 that lists the known ones; a wrong method is a 405 with `Allow`.
 *
 * @module
 */

import { HttpError, quoted } from "./errors.ts";

/** What a path means; `name` is as it was sent. */
export type Route =
  | { readonly kind: "status" }
  | { readonly kind: "segments" }
  | { readonly kind: "segment"; readonly name: string }
  | { readonly kind: "bytes"; readonly name: string };

const METHODS: Readonly<Record<Route["kind"], readonly string[]>> = {
  status: ["GET", "HEAD"],
  segments: ["GET", "HEAD"],
  segment: ["GET", "HEAD", "PUT", "DELETE"],
  bytes: ["GET", "HEAD", "PUT"],
};

const PATHS = "/v1/status, /v1/segments, /v1/segments/NAME, /v1/segments/NAME/bytes";

/** A request's target, in two parts. */
export interface Target {
  /** The path as it was sent. */
  readonly path: string;
  /** What stands behind the `?`, without it. */
  readonly query: string;
}

/**
 * Takes a request's URL apart without the clean-up that `URL` does (`/a/../b` would become `/b`).
 *
 * @param url the URL of the request.
 * @returns its path and query.
 */
export function targetOf(url: string): Target {
  const [, path = "", query = ""] = /^[a-z+]+:\/\/[^/?#]*([^?#]*)\??([^#]*)/i.exec(url) ?? [];
  return { path, query };
}

/**
 * Finds what a path means.
 *
 * @param path the path as it was sent.
 * @returns the route; its name is not checked yet.
 * @throws {HttpError} 404 ENOENT when there is no such path.
 */
export function findRoute(path: string): Route {
  const [root, version, kind, name, part, ...rest] = path.split("/");
  if (root === "" && version === "v1" && rest.length === 0) {
    if (kind === "status" && name === undefined) return { kind: "status" };
    if (kind === "segments" && name === undefined) return { kind: "segments" };
    if (kind === "segments" && name !== undefined && part === undefined) return { kind: "segment", name };
    if (kind === "segments" && name !== undefined && part === "bytes") return { kind: "bytes", name };
  }
  throw new HttpError(`Cannot find ${quoted(path)}: there is no such path`, {
    status: 404,
    code: "ENOENT",
    allowed: PATHS,
  });
}

/**
 * Checks that a route has a method.
 *
 * @param route the route.
 * @param method the method of the request.
 * @throws {HttpError} 405 EOPNOTSUPP with `Allow` when it has not.
 */
export function checkMethod(route: Route, method: string): void {
  const methods = METHODS[route.kind];
  if (methods.includes(method)) return;
  const allowed = methods.join(", ");
  throw new HttpError(`Cannot ${quoted(method)} here: the path has no such method`, {
    status: 405,
    code: "EOPNOTSUPP",
    allowed,
    headers: { allow: allowed },
  });
}
