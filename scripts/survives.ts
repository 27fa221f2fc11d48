/**
 * Writes the table "What survives" of the README from the lists in the comments of the handlers, so that it says what they do.
 *
 *     deno task survives [--check]
 *
 * Happy path: the part of README.md between the two markers is written anew, exit 0. With `--check` nothing is written.
 *
 * Unhappy paths: a handler whose comment lacks a list, or a README without the markers: exit 1 with the reason. With
 * `--check`, a table that is not the one that would be written: exit 1.
 *
 * @module
 */

/** What the comment of a handler says. */
export interface HandlerLists {
  /** Its name, such as `pipe-v1`. */
  readonly compatible: string;
  /** What it carries. */
  readonly title: string;
  /** How an application takes it. */
  readonly methods: string;
  /** What comes back as it was. */
  readonly preserved: readonly string[];
  /** What does not. */
  readonly lost: readonly string[];
}

const ROOT = new URL("../", import.meta.url);
const BEGIN = `<!-- written by \`deno task survives\` from the comments of handlers/ -->
<!-- deno-fmt-ignore-start -->`;
const END = "<!-- deno-fmt-ignore-end -->";

/**
 * Reads the comment at the beginning of a handler's module.
 *
 * @param source the module
 * @returns its lists, or null when it is no handler's
 * @throws {SyntaxError} when a part is missing
 */
export function readLists(source: string): HandlerLists | null {
  const comment = /^\/\*\*\n([\s\S]*?)\n \*\//.exec(source)?.[1]?.replaceAll(/^ \* ?/gm, "") ?? "";
  const [, compatible, title] = /^`([a-z-]+-v\d+)`: ([\s\S]*?)\.(?:\s|$)/.exec(comment) ?? [];
  if (compatible === undefined || title === undefined) return null;
  const methods = /^Taken with: ([\s\S]*?)\.$/m.exec(comment)?.[1];
  const lists = { preserved: items(comment, "Preserved"), lost: items(comment, "Not preserved") };
  for (const [name, found] of Object.entries({ ...lists, methods: methods ?? "" })) {
    if (found.length === 0) {
      throw new SyntaxError(`Cannot read the comment of ${compatible}: it lacks "${name}"`);
    }
  }
  return { compatible, title: oneLine(title), methods: oneLine(methods ?? ""), ...lists };
}

function items(comment: string, heading: string): string[] {
  const list = new RegExp(`^${heading}:\\n((?:(?:- |  ).*\\n?)+)`, "m").exec(comment)?.[1] ?? "";
  return list.split(/^- /m).slice(1).map((item) => oneLine(item.replaceAll(/\{@linkcode (\w+)\}/g, "`$1`")));
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}

/**
 * The table.
 *
 * @param handlers in the order of its rows
 * @returns Markdown
 */
export function table(handlers: readonly HandlerLists[]): string {
  const rows = handlers.map(({ compatible, title, methods, preserved, lost }) =>
    [`\`${compatible}\`: ${title}`, methods, lines(preserved), lines(lost)]
      .map((cell) => cell.replaceAll("|", "\\|"))
  );
  return [["resource", "taken with", "what survives", "what does not"], ["---", "---", "---", "---"], ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A cell has no lists, but it may have lines. */
function lines(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join("<br>");
}

/**
 * Puts a table into the README.
 *
 * @param readme its text
 * @param written the table
 * @returns the new text
 * @throws {SyntaxError} when the markers are not there
 */
export function place(readme: string, written: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new SyntaxError("Cannot write the table: README.md has no place for it");
  return `${readme.slice(0, begin)}${BEGIN}\n\n${written}\n\n${readme.slice(end)}`;
}

/** The lists of all handlers, by the name of their modules in the order in which they are registered. */
export async function allLists(): Promise<HandlerLists[]> {
  const found: HandlerLists[] = [];
  const folder = new URL("handlers/", ROOT);
  for (const name of [...Deno.readDirSync(folder)].map(({ name }) => name).sort()) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    const lists = readLists(await Deno.readTextFile(new URL(name, folder)));
    if (lists !== null) found.push(lists);
  }
  return found;
}

/**
 * Runs the command.
 *
 * @param args its arguments
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  const path = new URL("README.md", ROOT);
  const readme = await Deno.readTextFile(path);
  try {
    const written = place(readme, table(await allLists()));
    if (!args.includes("--check")) await Deno.writeTextFile(path, written);
    else if (written !== readme) {
      throw new SyntaxError("The table is not up to date: run `deno task survives`");
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    console.error(`survives: ${error.message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
