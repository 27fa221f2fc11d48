import { assert, assertEquals, assertMatch } from "@std/assert";

import { type TempDir, tempDir } from "../testing/wait.ts";

/** What a `take` in a process of its own came to. */
interface Attempt {
  /** Its error, or null. */
  error: string | null;
  /** What is in the folder of the snapshots then; null if there is no such folder. */
  left: string[] | null;
  /** Are the copies those of the modules, and on another filesystem? */
  whole: boolean;
  elsewhere: boolean;
}

const FINGERPRINT = "1".repeat(64);

/** Takes a snapshot of `app/` into each of the folders that are given. */
const SCRIPT = `import { Snapshots } from ${JSON.stringify(import.meta.resolve("./snapshot.ts"))};
const [app, ...folders] = Deno.args;
const modules = Array.from(Deno.readDirSync(app), ({ name }) => app + "/" + name);
const namesIn = (folder) => {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name);
  } catch {
    return null;
  }
};
for (const folder of folders) {
  const attempt = { error: null, left: null, whole: false, elsewhere: false };
  try {
    const snapshot = await new Snapshots(folder).take("${FINGERPRINT}", { modules, configs: [], roots: [app] });
    attempt.whole = modules.every((path) =>
      snapshot.has(path) && Deno.readTextFileSync(snapshot.path(path)) === Deno.readTextFileSync(path)
    );
    attempt.elsewhere = Deno.statSync(snapshot.root).dev !== Deno.statSync(app).dev;
  } catch (error) {
    attempt.error = error.message;
  }
  attempt.left = namesIn(folder);
  console.log(JSON.stringify(attempt));
}
`;

/** A folder with `app/`, whose modules take 200 KiB, and the script. */
function prepare(): TempDir {
  const directory = tempDir("heirloom-snapshot-");
  Deno.mkdirSync(`${directory.path}/app`);
  for (let index = 0; index < 50; index++) {
    Deno.writeTextFileSync(`${directory.path}/app/module${index}.ts`, `${index}`.padEnd(4096, "-"));
  }
  Deno.writeTextFileSync(`${directory.path}/take.ts`, SCRIPT);
  return directory;
}

/** Runs a shell command and then takes snapshots, in namespaces of their own; null where the machine has none. */
async function takeInside(
  flags: string,
  setUp: string,
  path: string,
  folders: string[],
): Promise<Attempt[] | null> {
  const inside = `set -e; ${setUp}; echo ready; exec "$@"`;
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: [
      ...[flags, "sh", "-c", inside, "sh", Deno.execPath()],
      ...["run", "-A", "--no-config", "--no-lock", `${path}/take.ts`, `${path}/app`],
      ...folders.map((name) => `${path}/${name}`),
    ],
    cwd: path,
    stdin: "null",
  }).output();
  const [ready, ...lines] = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  const diagnostics = new TextDecoder().decode(stderr);
  if (ready !== "ready") {
    console.log(`skipped: unshare ${flags} is not possible here: ${diagnostics.trim()}`);
    return null;
  }
  assertEquals(code, 0, diagnostics);
  return lines.map((line) => JSON.parse(line));
}

Deno.test("Snapshots.take() without space fails and leaves nothing, and works on another filesystem", async () => {
  await using directory = prepare();
  const attempts = await takeInside(
    "-Urm",
    "mkdir full inodes other; mount -t tmpfs -o size=64k none full; mount -t tmpfs -o nr_inodes=30 none inodes; " +
      "mount -t tmpfs none other",
    directory.path,
    ["full", "full/deeper", "inodes", "other", "other/deeper/still"],
  );
  if (attempts === null) return;
  const [full, fullDeeper, inodes, other, otherDeeper] = attempts;
  for (const attempt of [full, fullDeeper, inodes]) {
    assertMatch(attempt?.error ?? "", /^Cannot take a snapshot of the build: No space left on device/);
    assertEquals(attempt?.left?.filter((name) => name !== "deeper"), []);
  }
  for (const attempt of [other, otherDeeper]) {
    assertEquals([attempt?.error, attempt?.whole, attempt?.elsewhere], [null, true, true]);
  }
});

Deno.test("Snapshots.take() where nothing may be written fails and leaves nothing", async () => {
  await using directory = prepare();
  // A user namespace in which nobody is mapped: the same user, without the privileges of root.
  const attempts = await takeInside(
    "-U",
    "mkdir closed secret file.d; mkdir secret/builds; chmod 0500 closed; chmod 0 secret; touch file.d/file; " +
      'if touch closed/probe 2>/dev/null; then echo "privileged" >&2; exit 1; fi',
    directory.path,
    ["closed", "closed/deeper", "secret/builds", "file.d/file", "file.d/file/deeper"],
  );
  if (attempts === null) return;
  await Deno.chmod(`${directory.path}/closed`, 0o700);
  await Deno.chmod(`${directory.path}/secret`, 0o700);
  assertEquals(attempts.length, 5);
  for (const { error, left } of attempts) {
    assertMatch(error ?? "", /^Cannot take a snapshot of the build: .*\(os error (13|17|20)\)/);
    assert(left === null || left.length === 0, left?.join());
  }
  const found = ["closed", "secret/builds"].map((name) =>
    Array.from(Deno.readDirSync(`${directory.path}/${name}`))
  );
  assertEquals(found, [[], []]);
});
