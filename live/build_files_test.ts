import { assertEquals, assertRejects } from "@std/assert";
import { hashGraph } from "../kho/load.ts";
import { Snapshots } from "../kho/snapshot.ts";
import { type BuildFiles, filesOf } from "./build_files.ts";
import type { Self } from "./self.ts";

/** A build in a folder of its own. */
class Build implements Disposable {
  readonly path: string = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "heirloom-build-files-" }));
  readonly #entry = `${this.path}/app/main.ts`;

  constructor() {
    Deno.mkdirSync(`${this.path}/app`);
    this.write("main.ts", "export {};\n");
    this.write("deno.json", "{}");
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.path}/app/${name}`, text);
  }

  async look(): Promise<BuildFiles> {
    const image = { entry: this.#entry, config: `${this.path}/app/deno.json` };
    const graph = await hashGraph(image, [this.#entry]);
    return await filesOf({ image, spec: null } as unknown as Self, [graph]);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("Two looks at the same content have the same key, a changed configuration has another one", async () => {
  using build = new Build();
  const { key } = await build.look();
  build.write("main.ts", "export {};\n");
  assertEquals((await build.look()).key, key);
  build.write("deno.json", "{ }");
  assertEquals((await build.look()).key === key, false);
});

for (const name of ["main.ts", "deno.json"]) {
  Deno.test(`A file that is overwritten between the look and the copy is not copied: ${name}`, async () => {
    using build = new Build();
    const snapshots = new Snapshots(`${build.path}/state`);
    const files = await build.look();
    build.write(name, "// another one\n");
    const message = `${build.path}/app/${name} is not what it was when the build started`;
    await assertRejects(() => snapshots.take(files.key, files), Error, message);
    assertEquals([...Deno.readDirSync(`${build.path}/state`)], []);
    const again = await build.look();
    assertEquals((await snapshots.take(again.key, again)).has(`${build.path}/app/${name}`), true);
  });
}
