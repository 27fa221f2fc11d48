/**
 * The members of a request that name a build.
 *
 * @module
 */
import type { BuildOptions } from "./args.ts";

/**
 * Names a build to a service, whose current directory is another one.
 *
 * @param options paths as they were given on the command line
 * @returns the members that are given, each an absolute path
 */
export function buildMembers({ build, deno, heirloom }: BuildOptions): Record<string, string> {
  return { ...path("build", build), ...path("deno", deno), ...path("heirloom", heirloom) };
}

function path(name: string, value: string | undefined): Record<string, string> {
  if (value === undefined) return {};
  return { [name]: value.startsWith("/") ? value : `${Deno.cwd()}/${value}` };
}
