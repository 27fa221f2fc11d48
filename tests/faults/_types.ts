/**
 * What a row of the fault matrix is: what is done wrong, when, and how the update has to end.
 *
 * @module
 */
import type { StartOptions, UpdateOutcome, UpdateRecord, UpgradeOptions } from "../../testing/mod.ts";
import type { Scene } from "./_scene.ts";

/** What a row needs of the product. A row whose needs are not all in {@linkcode AVAILABLE} is skipped, and says so. */
export type Need =
  /** A build is started in check mode before the update. */
  | "preflight"
  /** A second process brings the old build back. */
  | "guardian"
  /** The running build can come back when its files have changed. */
  | "snapshot"
  /** `HEIRLOOM_FAULT` injects faults. */
  | "fault"
  /** SIGTERM and SIGINT refuse an update that is not frozen yet; an update whose service is gone leaves a record. */
  | "signals"
  /** `heirloom rollback`. */
  | "rollback"
  /** `heirloom upgrade --commit-after`. */
  | "commit-after";

/** What this version has. */
export const AVAILABLE: ReadonlySet<Need> = new Set<Need>([
  "preflight",
  "guardian",
  "snapshot",
  "fault",
  "signals",
  "rollback",
  "commit-after",
]);

/**
 * A moment at which an application of the matrix can be held: in the check child, in a `quiesce` listener of the old build,
 * while the new build loads, when it has just opened live update and taken its resources, just before `ready()`.
 */
export type Moment = "checking" | "quiescing" | "import" | "open" | "ready";

/** A place in a build: the moments of the new build. */
export type Place = Exclude<Moment, "checking" | "quiescing">;

/** How the update ends; `none`: the service is gone, and with it the verdict. */
export type Verdict = UpdateOutcome | "none";

/** The service that a row needs. Rows in a row with the same settings share one. */
export type ServiceSettings = Pick<StartOptions, "denoArgs" | "env" | "prefix"> & {
  /** A runtime of its own, which can be replaced: a copy. */
  readonly ownRuntime?: boolean;
  /** The state directory is a file system with no room left. */
  readonly fullState?: boolean;
};

/** A build that misbehaves. */
export interface BadBuild {
  /** The whole text, instead of an application. */
  readonly text?: string;
  /** Where the code runs; none: the build is good. */
  readonly at?: Place;
  /** Statements of TypeScript. Where {@linkcode BadBuild.at} is `ready`, `await live.ready()` follows. */
  readonly code?: string;
  /** Instead of `await live.ready()`. */
  readonly ready?: string;
  /** Does the code run in the check child too, or instead? @default {"real"} */
  readonly runs?: "real" | "checked" | "both";
  /** Version of the saved state, and the versions that are read. */
  readonly state?: { readonly version: number; readonly reads?: readonly [number, number] };
}

/** What happens from outside while an application is held. */
export interface Intervention {
  /** When. */
  readonly at: Moment;
  /** What. */
  readonly act: (scene: Scene) => void | Promise<void>;
  /** Is the application held on afterwards, until the end of the row? @default {false} */
  readonly keepHeld?: boolean;
}

/** One row of the matrix. */
export interface Row {
  /** What the rows of a group have in common. */
  readonly group: string;
  /** What goes wrong. */
  readonly name: string;
  /** When. */
  readonly phase: string;
  /** What this needs of the product. */
  readonly needs?: readonly Need[];
  /** The service. */
  readonly service?: ServiceSettings;
  /** The new build. @default {a good one} */
  readonly build?: BadBuild;
  /** What the update is asked for. @default {the new build} */
  readonly request?: (scene: Scene) => Pick<UpgradeOptions, "build" | "deno">;
  /** The deadline of the update, in seconds. @default {30} */
  readonly timeoutS?: number;
  /** Is there no guardian? @default {false} */
  readonly unguarded?: boolean;
  /** Is the update asked for with the command line, and with which more flags? @default {the control API} */
  readonly cli?: readonly string[];
  /** Can this machine do it? @returns why not, or null */
  readonly possible?: () => Promise<string | null>;
  /** Must a copy of the running build have been put aside before? @default {false} */
  readonly setAside?: boolean;
  /** What is done before. */
  readonly prepare?: (scene: Scene) => void | Promise<void>;
  /** What is done from outside. */
  readonly outside?: Intervention;
  /** Instead of the one update: several, with the record of the last. Those before it are told to the service. */
  readonly run?: (scene: Scene) => Promise<UpdateRecord>;
  /** What is put in order again after the verdict. */
  readonly restore?: (scene: Scene) => void | Promise<void>;
  /** What is done once the verdict is known and told, before everything is looked at. */
  readonly afterwards?: (scene: Scene) => Promise<void>;
  /** How the update ends. */
  readonly expect: readonly Verdict[];
  /** What the reason says. */
  readonly reason?: RegExp;
  /** What the record says of the guardian. */
  readonly guardian?: RegExp;
  /** The service ends with this. The next row gets another one. */
  readonly ends?: { readonly code?: number; readonly signal?: Deno.Signal };
  /** Failures of requests that the documentation allows. @default {none} */
  readonly allowed?: RegExp;
  /** What the load asks for. A build that is given up forgets the lines that it wrote. @default {"/line"} */
  readonly path?: "/" | "/line";
  /** Part of the selection that runs with the tests? @default {false} */
  readonly selected?: boolean;
}
