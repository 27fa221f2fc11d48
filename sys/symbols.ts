/**
 * The one table of C functions, and the only `Deno.dlopen` of the project but that of `readiness.ts`, whose calls wait.
 *
 * Happy path: `call.fcntl(fd, F_GETFD, 0)`. The first use of a name looks that one symbol up and keeps it; a process that
 * never asks for a socket never pays for one. A name that is used often is opened in full (0.1 to 0.2 ms), and a call is a
 * plain function call from then on.
 *
 * Unhappy paths:
 * 1. A function answers -1: {@linkcode lastErrno} says why. It must be read before anything else is called.
 * 2. The C library has no such symbol: `Deno.dlopen` throws, naming it. All names here are in glibc 2.34.
 *
 * Two rules of the table. `"buffer"` is not checked against its length by anyone: a caller always passes the
 * `byteLength` of the very view it passes. Variadic functions (`fcntl`, `ioctl`, `open`, `syscall`) are declared with
 * the arguments we use: on x86-64 and on aarch64 Linux (unlike Apple's aarch64) variadic integers and pointers travel
 * in the same registers as named ones, and none of these functions takes a floating-point argument.
 *
 * @module
 */

const LIBRARY = "libc.so.6";

/**
 * C prototypes as FFI definitions. `read`, `write`, `pread`, `pwrite`, `send` and `getdents64` are declared to return 32 bits:
 * the kernel moves at most 0x7ffff000 bytes at once, so nothing is cut off, and no BigInt is allocated between the
 * call and the look at `errno`.
 */
export const libc = {
  // errno.h
  __errno_location: { parameters: [], result: "pointer" }, // int *__errno_location(void)

  // fcntl.h
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int fcntl(int fd, int op, ... /* int arg */)
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" }, // int open(const char *path, int flags, ... /* mode_t */)

  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" }, // int fallocate(int fd, int mode, off_t offset, off_t length)

  // sys/eventfd.h, sys/timerfd.h, sys/signalfd.h, sys/inotify.h, sys/epoll.h
  epoll_create1: { parameters: ["i32"], result: "i32" }, // int epoll_create1(int flags)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" }, // int epoll_wait(int epfd, struct epoll_event *events, int count, int timeout)
  eventfd: { parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned count, int flags)
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int inotify_add_watch(int fd, const char *path, uint32_t mask)
  inotify_init1: { parameters: ["i32"], result: "i32" }, // int inotify_init1(int flags)
  inotify_rm_watch: { parameters: ["i32", "i32"], result: "i32" }, // int inotify_rm_watch(int fd, int wd)
  signalfd: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // int signalfd(int fd, const sigset_t *mask, int flags)
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" }, // int timerfd_create(int clock, int flags)
  timerfd_gettime: { parameters: ["i32", "buffer"], result: "i32" }, // int timerfd_gettime(int fd, struct itimerspec *value)
  timerfd_settime: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" }, // int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *before)

  // unistd.h, dirent.h
  chdir: { parameters: ["buffer"], result: "i32" }, // int chdir(const char *path)
  close: { parameters: ["i32"], result: "i32" }, // int close(int fd)
  close_range: { parameters: ["u32", "u32", "i32"], result: "i32" }, // int close_range(unsigned first, unsigned last, int flags)
  dup3: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int dup3(int fd, int newfd, int flags)
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" }, // int execve(const char *path, char *const argv[], char *const envp[])
  fdatasync: { parameters: ["i32"], result: "i32" }, // int fdatasync(int fd)
  fsync: { parameters: ["i32"], result: "i32" }, // int fsync(int fd)
  ftruncate: { parameters: ["i32", "i64"], result: "i32" }, // int ftruncate(int fd, off_t length)
  getcwd: { parameters: ["buffer", "usize"], result: "pointer" }, // char *getcwd(char *buf, size_t size)
  flock: { parameters: ["i32", "i32"], result: "i32" }, // int flock(int fd, int operation)
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i32" }, // ssize_t getdents64(int fd, void *dirp, size_t count)
  getppid: { parameters: [], result: "i32" }, // pid_t getppid(void)
  getuid: { parameters: [], result: "u32" }, // uid_t getuid(void)
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" }, // off_t lseek(int fd, off_t offset, int whence)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int fds[2], int flags)
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" }, // ssize_t pread(int fd, void *buf, size_t count, off_t offset)
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" }, // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset)
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" }, // ssize_t read(int fd, void *buf, size_t count)
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i32" }, // ssize_t readlink(const char *path, char *buf, size_t size)
  unlink: { parameters: ["buffer"], result: "i32" }, // int unlink(const char *path)
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" }, // ssize_t write(int fd, const void *buf, size_t count)

  // stdlib.h
  posix_openpt: { parameters: ["i32"], result: "i32" }, // int posix_openpt(int flags)
  unlockpt: { parameters: ["i32"], result: "i32" }, // int unlockpt(int fd)

  // sys/stat.h, sys/statfs.h
  fstat: { parameters: ["i32", "buffer"], result: "i32" }, // int fstat(int fd, struct stat *statbuf)
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" }, // int fstatfs(int fd, struct statfs *buf)
  mkfifo: { parameters: ["buffer", "u32"], result: "i32" }, // int mkfifo(const char *path, mode_t mode)
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" }, // long syscall(long number, ...)
  umask: { parameters: ["u32"], result: "u32" }, // mode_t umask(mode_t mask)

  // sys/mman.h
  madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" }, // int madvise(void *addr, size_t length, int advice)
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" }, // int memfd_create(const char *name, unsigned flags)
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" }, // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
  shm_open: { parameters: ["buffer", "i32", "u32"], result: "i32" }, // int shm_open(const char *name, int flags, mode_t mode)
  shm_unlink: { parameters: ["buffer"], result: "i32" }, // int shm_unlink(const char *name)
  munmap: { parameters: ["pointer", "usize"], result: "i32" }, // int munmap(void *addr, size_t length)

  // sys/ioctl.h, poll.h
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" }, // int ioctl(int fd, unsigned long op, ... /* void *arg */)
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" }, // int poll(struct pollfd *fds, nfds_t count, int timeout)

  // sys/socket.h
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int bind(int fd, const struct sockaddr *addr, socklen_t len)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int connect(int fd, const struct sockaddr *addr, socklen_t len)
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" }, // int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
  listen: { parameters: ["i32", "i32"], result: "i32" }, // int listen(int fd, int backlog)
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t recvmsg(int fd, struct msghdr *message, int flags)
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" }, // ssize_t send(int fd, const void *buf, size_t len, int flags)
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" }, // int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
  shutdown: { parameters: ["i32", "i32"], result: "i32" }, // int shutdown(int fd, int how)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int socket(int domain, int type, int protocol)
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int domain, int type, int protocol, int fds[2])

  // spawn.h: these answer an error number themselves
  posix_spawn: {
    parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  }, // int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const argv[], char *const envp[])
  posix_spawn_file_actions_addchdir_np: { parameters: ["buffer", "buffer"], result: "i32" }, // int …(posix_spawn_file_actions_t *, const char *path)
  posix_spawn_file_actions_addclose: { parameters: ["buffer", "i32"], result: "i32" }, // int …(posix_spawn_file_actions_t *, int fd)
  posix_spawn_file_actions_addclosefrom_np: { parameters: ["buffer", "i32"], result: "i32" }, // int …(posix_spawn_file_actions_t *, int from)
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" }, // int …(posix_spawn_file_actions_t *, int fd, int newfd)
  posix_spawn_file_actions_addopen: { parameters: ["buffer", "i32", "buffer", "i32", "u32"], result: "i32" }, // int …(posix_spawn_file_actions_t *, int fd, const char *path, int flags, mode_t mode)
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawn_file_actions_t *)
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawn_file_actions_t *)
  posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawnattr_t *)
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawnattr_t *)
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" }, // int …(posix_spawnattr_t *, short flags)
  posix_spawnattr_setpgroup: { parameters: ["buffer", "i32"], result: "i32" }, // int …(posix_spawnattr_t *, pid_t pgroup)
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" }, // int …(posix_spawnattr_t *, const sigset_t *)
  posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" }, // int …(posix_spawnattr_t *, const sigset_t *)

  // signal.h, sys/wait.h
  kill: { parameters: ["i32", "i32"], result: "i32" }, // int kill(pid_t pid, int sig)
  pthread_sigmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int pthread_sigmask(int how, const sigset_t *set, sigset_t *oldset)
  sigpending: { parameters: ["buffer"], result: "i32" }, // int sigpending(sigset_t *set)
  sigtimedwait: { parameters: ["buffer", "buffer", "buffer"], result: "i32" }, // int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
  waitid: { parameters: ["i32", "i32", "buffer", "i32"], result: "i32" }, // int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // pid_t waitpid(pid_t pid, int *status, int options)

  // sys/prctl.h
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" }, // int prctl(int op, ... /* unsigned long */)

  // sys/resource.h, time.h
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" }, // int clock_gettime(clockid_t clock, struct timespec *tp)
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" }, // int getrlimit(int resource, struct rlimit *rlim)
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" }, // int setrlimit(int resource, const struct rlimit *rlim)
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of {@linkcode libc} with their TypeScript types. */
export type Libc = Deno.DynamicLibrary<typeof libc>["symbols"];

/** The functions of {@linkcode libc}, each opened when it is first touched. */
export const call: Libc = lazyTable();

let errnoCell: Int32Array | undefined;

/**
 * Reads `errno` of this thread, as the last failed call left it.
 *
 * @returns the error number; meaningful only directly after a function of {@linkcode call} answered that it failed
 */
export function lastErrno(): number {
  return errnoCell?.[0] ?? 0;
}

function lazyTable(): Libc {
  const table = {};
  for (const name of Object.keys(libc) as (keyof typeof libc)[]) {
    Object.defineProperty(table, name, {
      configurable: true,
      enumerable: true,
      get() {
        // The cell comes first: opening it after a failed call would overwrite the very errno it is to tell.
        errnoCell ??= openErrnoCell();
        const value = lightSymbol(table, name);
        Object.defineProperty(table, name, { value, configurable: true, enumerable: true });
        return value;
      },
    });
  }
  return table as Libc;
}

/** Calls after which a function is worth compiling. */
const HOT_CALLS = 200;

let find: Deno.DynamicLibrary<typeof FIND>["symbols"]["dlsym"] | undefined;
const FIND = { dlsym: { parameters: ["pointer", "buffer"], result: "pointer" } } as const; // void *dlsym(void *handle, const char *name)

/**
 * A function by its address: ready in some microseconds, but each call takes one. A restart makes few calls of many
 * functions and waits for every millisecond; a function that turns out to be hot is opened in full.
 */
function lightSymbol(table: object, name: keyof typeof libc): (...args: unknown[]) => unknown {
  find ??= Deno.dlopen(LIBRARY, FIND).symbols.dlsym;
  const address = find(null, new TextEncoder().encode(`${name}\0`));
  if (address === null) throw new TypeError(`Cannot find ${name}: ${LIBRARY} does not have it`);
  // The table says what the function takes; that its callers keep to it, the type of the table sees to.
  const light = new Deno.UnsafeFnPointer(address as never, libc[name]) as unknown as {
    call(...args: unknown[]): unknown;
  };
  let left = HOT_CALLS;
  let hot: ((...args: unknown[]) => unknown) | undefined;
  return (...args) => {
    if (hot !== undefined) return hot(...args);
    if (left-- > 0) return light.call(...args);
    hot = openSymbol(name) as unknown as (...args: unknown[]) => unknown;
    Object.defineProperty(table, name, { value: hot, configurable: true, enumerable: true });
    return hot(...args);
  };
}

function openSymbol<Name extends keyof typeof libc>(name: Name): Libc[Name] {
  const definition = { [name]: libc[name] } as Pick<typeof libc, Name>;
  return Deno.dlopen(LIBRARY, definition)
    .symbols[name as keyof Deno.StaticForeignLibraryInterface<typeof definition>] as unknown as Libc[Name];
}

/**
 * Each thread has one errno at one address for its whole life, and an isolate stays on its thread: so a view of these
 * four bytes is as good as asking again, and reading it calls nothing that could change them.
 */
function openErrnoCell(): Int32Array {
  const address = lightSymbol({}, "__errno_location")() as Deno.PointerValue;
  if (address === null) throw new TypeError("Cannot find errno: __errno_location answered null");
  return new Int32Array(Deno.UnsafePointerView.getArrayBuffer(address, 4));
}
