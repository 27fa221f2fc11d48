/**
 * The pieces of an application that watches a directory, its second argument, and writes down each rename into it.
 *
 * @module
 */

/** Statements that take the watches. Those who look for names find each once in `DIRECTORY.log`. */
export const USE_WATCH = `
const directory = Deno.args[1];
const told = await live.file("told", directory + ".log", { append: true, create: true });
const watch = await live.watch("config", {
  async event({ path, events, name }) {
    if (path === directory && events.includes("moved_to")) told.write(name + "\\n");
    else told.write([path, events.join("+"), name].join(" ") + "\\n");
  },
});
watch.add(directory, ["moved_to", "onlydir"]);
`;

/** A route that tells what is watched, one to add a path, one to remove it. */
export const WATCH_ROUTES = `
if (path === "/paths") return new Response(JSON.stringify([...watch.paths().values()].sort()));
if (path === "/add") {
  try {
    return new Response(String(watch.add(query.get("path"), query.get("events").split(","))));
  } catch (error) {
    return new Response(error.message);
  }
}
if (path === "/remove") return new Response(String(watch.remove(Number(query.get("wd")))));
`;
