/**
 * The program of the check `execve`: it replaces itself, as an update does. Its argument is the program to become.
 *
 * @module
 */
import { execve } from "../../sys/exec.ts";
import { initialEnvironmentBytes } from "../../sys/proc.ts";

const [program = ""] = Deno.args;
execve(program, [program, "--version"], initialEnvironmentBytes());
