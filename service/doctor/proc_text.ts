/**
 * Reads the texts of `/proc` of any process. Pure, but for {@linkcode readText}.
 *
 * @module
 */

/** A limit of a process; null for none. */
export interface ProcessLimit {
  readonly soft: number | null;
  readonly hard: number | null;
}

/** The limits that are looked at, as `/proc/PID/limits` calls them. */
export type ProcessLimits = Readonly<Record<"nofile" | "fsize" | "as" | "nproc", ProcessLimit>>;

/**
 * The content of a file.
 *
 * @param path its path
 * @returns the text, or null when it is not there or not for us
 */
export function readText(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}

/** The number in a file, or null. */
export function readNumber(path: string): number | null {
  const text = readText(path)?.trim();
  return text === undefined || !/^-?\d+$/.test(text) ? null : Number(text);
}

const LIMIT_NAMES = {
  nofile: "Max open files",
  fsize: "Max file size",
  as: "Max address space",
  nproc: "Max processes",
} as const;

/** Reads `/proc/PID/limits`. */
export function parseLimits(text: string): ProcessLimits {
  const limitOf = (name: string): ProcessLimit => {
    const [, soft = "unlimited", hard = "unlimited"] =
      new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, "m").exec(text) ??
        [];
    return { soft: valueOf(soft), hard: valueOf(hard) };
  };
  return {
    nofile: limitOf(LIMIT_NAMES.nofile),
    fsize: limitOf(LIMIT_NAMES.fsize),
    as: limitOf(LIMIT_NAMES.as),
    nproc: limitOf(LIMIT_NAMES.nproc),
  };
}

function valueOf(text: string): number | null {
  return text === "unlimited" ? null : Number(text);
}

/** A field of `/proc/PID/status`, or null. */
export function statusField(text: string, name: string): string | null {
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? null;
}

/** Bytes of a field of `/proc/PID/status` or `/proc/meminfo` that is in kB, or null. */
export function kilobytes(text: string, name: string): number | null {
  const value = /^(\d+) kB$/.exec(statusField(text, name) ?? "")?.[1];
  return value === undefined ? null : Number(value) * 1024;
}

/** Reads `/proc/PID/environ`. */
export function parseEnviron(text: string): ReadonlyMap<string, string> {
  const pairs = text.split("\0").filter((entry) => entry.includes("=")).map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  return new Map(pairs);
}

/** A mounted filesystem, from a line of `/proc/PID/mountinfo`. */
export interface Mount {
  /** Its number, which `mnt_id` of a descriptor names. */
  readonly id: number;
  /** Where it is mounted. */
  readonly path: string;
  /** What kind it is. */
  readonly type: string;
  /** Options of the mount and of the filesystem. */
  readonly options: readonly string[];
}

/** Reads `/proc/PID/mountinfo`. */
export function parseMounts(text: string): Mount[] {
  return text.split("\n").flatMap((line) => {
    const [front = "", back] = line.split(" - ", 2);
    const [id, , , , path, options = ""] = front.split(" ");
    const [type, , superOptions = ""] = back?.split(" ") ?? [];
    if (path === undefined || type === undefined) return [];
    return [{
      id: Number(id),
      path: unescape(path),
      type,
      options: [...options.split(","), ...superOptions.split(",")],
    }];
  });
}

/** The filesystem that a path is on. The last one mounted there counts. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | null {
  const holds = ({ path: at }: Mount): boolean => at === "/" || path === at || path.startsWith(`${at}/`);
  return mounts.filter(holds).reduce<Mount | null>(
    (best, each) => best === null || each.path.length >= best.path.length ? each : best,
    null,
  );
}

/** The kernel writes a blank in a path as `\040`. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** A counter of `/proc/net/netstat`, which has lines of names and lines of numbers in turns; or null. */
export function netCounter(text: string, group: string, name: string): number | null {
  const [names, numbers] = text.split("\n").filter((line) => line.startsWith(`${group}:`));
  const at = names?.split(" ").indexOf(name) ?? -1;
  const value = at < 0 ? undefined : numbers?.split(" ")[at];
  return value === undefined ? null : Number(value);
}
