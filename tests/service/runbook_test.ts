/**
 * The runbook of upgrades is executed: every command of its `sh` blocks, in order, on one service. Its directories are
 * replaced by those of the test, and what only a machine with systemd has by a small program of the same name.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { copyTree, freePort, heirloomRoot, startApp, tempDir, waitFor, writeApp } from "../../testing/mod.ts";
import { Client, once } from "../update/_fixtures.ts";

const RUNBOOK = new URL("../../docs/runbooks/upgrade.md", import.meta.url);

/** A fenced block under its heading. */
interface Block {
  readonly heading: string;
  readonly language: string;
  readonly lines: string[];
}

/** A command, what it must end with, and how its update must. */
interface Command {
  readonly text: string;
  readonly code: number;
  readonly outcome: string | null;
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let heading = "";
  let open: Block | null = null;
  for (const line of markdown.split("\n")) {
    const fence = /^```(\w*)$/.exec(line);
    if (fence !== null) {
      open = open === null ? { heading, language: fence[1] ?? "", lines: [] } : null;
      if (open !== null) blocks.push(open);
    } else if (open !== null) open.lines.push(line);
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
  }
  return blocks;
}

function commandOf(line: string): Command {
  const [, text = line, code = "0", outcome] = /^(.*?)\s+# exit (\d+)(?:: ([a-z-]+))?$/.exec(line) ?? [];
  return { text, code: Number(code), outcome: outcome ?? null };
}

/** What differs from run to run, made the same: ids, numbers. */
function plain(text: string): string {
  const ids = text.replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{8,12}\b/g, "ID");
  // A pause on a busy machine is told in seconds.
  return ids.replaceAll(/\d+(\.\d+)?/g, "N").replaceAll(/(pause|after) N s\b/g, "$1 N ms").trim();
}

/** An application that needs its configuration; what it does wrong comes between taking and serving. */
function release(library: string, label: string, wrong = ""): string {
  return `import { open } from "${library}";
const config = JSON.parse(await Deno.readTextFile(Deno.args[1]));
if (config.format !== 1) throw new Error("the configuration has format " + config.format);
const live = await open();
const hits = await live.segment("hits", { size: 8 });
${wrong}
const address = { hostname: "127.0.0.1", port: Number(Deno.args[0]) };
await live.serve("web", address, () => new Response("${label}"));
await live.ready();
void hits;
`;
}

const FOR_REAL = 'if (!live.checking) throw new Error("no database");';

/** What release v3 does wrong, by section. */
const V3: Readonly<Record<string, string>> = {
  "Refused": 'throw new Error("no database");',
  "Rolled back": FOR_REAL,
  "Recovered": 'if (!live.checking) Deno.kill(Deno.pid, "SIGKILL");',
  "Lost": `if (!live.checking) Deno.writeTextFileSync(Deno.args[1], '{"format":2}');\n${FOR_REAL}`,
  "Edited in place": FOR_REAL,
};

/** Who serves after each update of a section; null: nobody. */
const SERVING: Readonly<Record<string, readonly (string | null)[]>> = {
  "Upgrade": ["v2", "v2"],
  "Refused": ["v2"],
  "Rolled back": ["v2"],
  "Recovered": ["v2"],
  "Lost": [null],
  "Rollback": ["v1", "v2", "v1"],
  "Edited in place": ["v1", "v2", "v1", "v2"],
  "Exit codes, for scripts": ["v2", "v2", "v2"],
};

/** Starts the service as systemd would after it has ended: when it is told to. */
const SUPERVISOR = '"$@"; until [ -e "$0" ]; do sleep 0.1; done; exec "$@"';

Deno.test("the runbook of upgrades holds, command by command", async (t) => {
  await using dir = tempDir("heirloom-runbook-");
  const root = await Deno.realPath(dir.path);
  // A copy: this tree may be edited while the test runs, and a service whose files change has another way back.
  const tree = await copyTree(heirloomRoot(), `${root}/heirloom`);
  const [port, config, state] = [freePort(), `${root}/config.json`, `${root}/state`];
  const write = (label: string, text: string): Promise<string> =>
    writeApp(`${root}/releases/${label}`, { files: { "main.ts": text } });
  const good = (label: string): string => release(`file://${tree}/mod.ts`, label);
  for (const label of ["v1", "v2"]) await write(label, good(label));
  await write("v4", "const = ;\n");
  await Deno.symlink("releases/v1", `${root}/current`);
  await Deno.writeTextFile(config, '{"format":1}');
  await Deno.mkdir(state);
  await using app = await startApp({
    entry: `${root}/current/main.ts`,
    args: [String(port), config],
    heirloom: tree,
    env: { STATE_DIRECTORY: state },
    prefix: ["sh", "-c", SUPERVISOR, `${root}/start`],
  });
  await Deno.mkdir(`${root}/bin`);
  const program = async (name: string, text: string): Promise<void> =>
    await Deno.writeTextFile(`${root}/bin/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await program("heirloom", `exec "${Deno.execPath()}" run -A "${tree}/main.ts" "$@"`);
  await program(
    "systemctl",
    `[ "$*" = "restart app" ] || exit 1
echo '{"format":1}' > "${config}"
: > "${root}/start"
until heirloom status > /dev/null 2>&1; do sleep 0.1; done`,
  );

  const toTest = (text: string): string =>
    text.replaceAll("/run/app/control.sock", app.socket).replaceAll("/srv/app", root).replaceAll(
      "/var/lib/app",
      state,
    );
  const toRunbook = (text: string): string => text.replaceAll(root, "/srv/app");
  const exports: string[] = [];
  const run = async (text: string): Promise<{ code: number; output: string }> => {
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", [...exports, toTest(text)].join("\n")],
      cwd: root,
      env: { PATH: `${root}/bin:${Deno.env.get("PATH") ?? ""}`, NO_COLOR: "1" },
    }).output();
    if (text.startsWith("export ")) exports.push(toTest(text));
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  };

  /** How the last update ended, and who serves. */
  const look = async (): Promise<{ outcome: string | undefined; label: string | null }> => {
    try {
      return { outcome: (await app.history()).at(-1)?.outcome ?? undefined, label: await once(port, "/") };
    } catch {
      const words = JSON.parse(await Deno.readTextFile(`${app.socket}.last.json`));
      return { outcome: words.outcome, label: null };
    }
  };
  const hasCopy = (text: string): boolean =>
    [...Deno.readDirSync(state)].some(({ name: service }) =>
      [...Deno.readDirSync(`${state}/${service}/builds`)].some(({ name }) => {
        try {
          const path = `${state}/${service}/builds/${name}${root}/releases/v1/main.ts`;
          return Deno.readTextFileSync(path) === text;
        } catch {
          return false;
        }
      })
    );

  const before: Readonly<Record<string, () => Promise<unknown>>> = {
    "Rollback": async () => {
      const none = await app.upgrade({ rollback: true });
      assertEquals(none.outcome, "refused");
      assertMatch(none.reason ?? "", /has not had another build/);
      for (const label of ["v1", "v2"]) {
        assertEquals((await app.upgrade({ build: `${root}/releases/${label}` })).outcome, "committed");
      }
    },
    "Edited in place": async () => {
      // A release that never ran: its copy is taken, and then that of the build before the previous one is removed.
      const text = `${good("v1")}// once more\n`;
      assertEquals((await app.upgrade({ build: `${root}/releases/v2` })).outcome, "committed");
      const entry = await write("v1", text);
      assertEquals((await app.upgrade({ build: entry })).outcome, "committed");
      const isDone = (): boolean => hasCopy(text) && !hasCopy(good("v1"));
      await waitFor(isDone, { what: "the copy of the release" });
    },
  };
  const after: Readonly<Record<string, () => Promise<unknown>>> = {
    "Lost": async () => {
      assertEquals((await app.history()).map(({ outcome }) => outcome), ["lost"]);
      assert(!(await exists(`${app.socket}.last.json`)), "the last words are still there");
    },
    "No verdict": async () => {
      app.signal("SIGSTOP");
      try {
        assertEquals((await run("heirloom status --timeout 1")).code, 4);
      } finally {
        app.signal("SIGCONT");
      }
      assertEquals((await run("heirloom status")).code, 0);
    },
    "Exit codes, for scripts": async () =>
      assertEquals(await Deno.readLink(`${root}/current`), "releases/v2"),
  };

  const blocks = blocksOf(await Deno.readTextFile(RUNBOOK));
  const sections = [...new Set(blocks.map(({ heading }) => heading))];
  for (const name of [...Object.keys({ ...V3, ...SERVING, ...before, ...after })]) {
    assert(sections.includes(name), `the runbook has no section "${name}"`);
  }
  let client = await Client.open(port);
  for (const section of sections) {
    await t.step(section, async () => {
      const { pid } = await app.status();
      const wrong = V3[section];
      if (wrong !== undefined) await write("v3", release(`file://${tree}/mod.ts`, "v3", wrong));
      await before[section]?.();
      const serving: (string | null)[] = [];
      let output = "";
      for (const { language, lines } of blocks.filter(({ heading }) => heading === section)) {
        if (language === "text" && output !== "") assertOutput(lines, toRunbook(output));
        if (language !== "sh") continue;
        const path = lines[0] === "#!/bin/sh" ? /^# (\S+)/.exec(lines[1] ?? "")?.[1] : undefined;
        if (path !== undefined) {
          await Deno.writeTextFile(toTest(path), `${toTest(lines.join("\n"))}\n`, { mode: 0o755 });
          continue;
        }
        output = "";
        for (const { text, code, outcome } of lines.map(commandOf)) {
          const result = await run(text);
          assertEquals(result.code, code, `${text}\n${result.output}`);
          output += result.output;
          if (outcome === null) continue;
          const found = await look();
          assertEquals(found.outcome, outcome, `${text}\n${result.output}`);
          serving.push(found.label);
        }
      }
      assertEquals(serving, [...SERVING[section] ?? []], "who serves");
      await after[section]?.();
      // The process and the connections are as the table says.
      const now = (await app.status()).pid;
      if (section === "Recovered" || section === "Lost") assertNotEquals(now, pid);
      else assertEquals(now, pid);
      if (section === "Lost") {
        assert(client.closed, "a connection outlived its process");
        client[Symbol.dispose]();
        client = await Client.open(port);
      }
      assertEquals(await client.text("/"), await once(port, "/"));
    });
  }
  client[Symbol.dispose]();
});

/** Every line of an example is there in what was printed; one that ends in an ellipsis, its beginning. */
function assertOutput(example: readonly string[], output: string): void {
  const printed = plain(output);
  for (const line of example) {
    const [beginning = ""] = plain(line).split("…", 1);
    assertStringIncludes(printed, beginning.trim());
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
