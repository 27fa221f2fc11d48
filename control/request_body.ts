/**
 * The JSON body of a request, checked member by member.
 *
 * Happy path: {@linkcode parseMembers} gives the members that are there, each of the type that the table says.
 *
 * Unhappy paths: no JSON, no object, an unknown member or one of another type is a {@linkcode RequestError} that says
 * which, and what is allowed. Nothing is converted: `"30"` is no number.
 *
 * @module
 */

/** A body that is not what the path takes; `code` is `EINVAL`. */
export class RequestError extends TypeError {
  /** Name of the errno. */
  readonly code = "EINVAL";
}

/** The types that a member can have, by their names. */
interface MemberTypes {
  string: string;
  number: number;
  boolean: boolean;
}

/** The members of a body, by the names of their types. */
export type MemberTable = Readonly<Record<string, keyof MemberTypes>>;

/** What a table allows. */
export type Members<T extends MemberTable> = { -readonly [K in keyof T]?: MemberTypes[T[K]] };

/**
 * Reads a body.
 *
 * @param action what the request is for, for messages: `update`
 * @param text JSON, or nothing, which is as good as `{}`
 * @param table the members that there may be
 * @returns the members that are there
 * @throws {RequestError} with the member that is wrong and what is allowed
 */
export function parseMembers<T extends MemberTable>(action: string, text: string, table: T): Members<T> {
  const body = parseObject(action, text);
  for (const [name, value] of Object.entries(body)) {
    const type = Object.hasOwn(table, name) ? table[name] : undefined;
    if (type === undefined) {
      const allowed = Object.keys(table).join(", ");
      throw new RequestError(`Cannot ${action}: "${name}" is unknown, allowed are ${allowed}`);
    }
    const found: string = typeof value;
    if (found !== type) throw new RequestError(`Cannot ${action}: "${name}" must be a ${type}`);
  }
  return body as Members<T>;
}

function parseObject(action: string, text: string): object {
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new RequestError(`Cannot ${action}: the body is no JSON: ${reason}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new RequestError(`Cannot ${action}: the body must be a JSON object`);
  }
  return body;
}
