/**
 * System calls: the only folder that touches `Deno.dlopen` or `Deno.Unsafe*`. One file per concern; each says what it
 * does and how it fails.
 *
 * Happy path: functions take plain descriptors, which are borrowed, and give {@linkcode OwnedFd}s, which are closed by
 * their holder. Everything is synchronous and close-on-exec from birth.
 *
 * Unhappy path: what the kernel refuses is a {@linkcode SysError} with the name of the error in `code`.
 *
 * @module
 */

export {
  ARCH,
  type Arch,
  ARCH_CONSTANTS,
  type ArchConstants,
  O_DIRECT,
  O_DIRECTORY,
  O_LARGEFILE,
  O_NOFOLLOW,
  SYS_kcmp,
} from "./arch.ts";
export { monotonicNs, realtimeNs } from "./clock.ts";
export { ERRNO, type ErrnoName, errnoName, errnoOf, SysError } from "./errno.ts";
export { changeDirectory, currentDirectory, execve, getUmask, setUmask } from "./exec.ts";
export {
  closeFd,
  closeOnExecFrom,
  dupOnto,
  getCloexec,
  getFlags,
  isOpenFd,
  setCloexec,
  setFlags,
  setNonblocking,
} from "./fd.ts";
export { articled, describeFd, refusalOf } from "./describe.ts";
export { lockFile } from "./lock.ts";
export { compareOpenFiles, sameOpenFile } from "./same_file.ts";
export {
  O_PATH,
  openFile,
  type OpenFileOptions,
  pread,
  pwrite,
  read,
  readFile,
  readLink,
  readWhole,
  seek,
  sync,
  truncate,
  type Whence,
  write,
  writeAll,
} from "./file.ts";
export { getLimit, type Limit, type LimitName, LIMITS, setLimit, UNLIMITED } from "./limits.ts";
export { addSeals, createMemfd, getSeals, type MemfdOptions, SEALS } from "./memfd.ts";
export { Mapping, type MappingOptions } from "./mmap.ts";
export { dupFd, OwnedFd } from "./owned_fd.ts";
export { bytesWaiting, isAnonymousPipe, pipeCapacity } from "./pipe.ts";
export {
  bootId,
  childPids,
  commandLine,
  fdInfo,
  fdLink,
  inheritableFds,
  initialEnvironment,
  initialEnvironmentBytes,
  listFds,
  peakResidentBytes,
  processAgeMs,
  residentBytes,
  startTime,
} from "./proc.ts";
export { type ExitStatus, getParentPid, getPid, getUid, reapIfEnded, waitNoHang } from "./process.ts";
export {
  blockForExec,
  getMask,
  keepBlocked,
  killProcess,
  maskFromHex,
  maskToHex,
  pendingSignals,
  setMask,
  type SignalMask,
  SIGNALS,
  takeBackMask,
} from "./signals.ts";
export { decodeSockaddr, encodeSockaddr, formatAddress, type SocketAddress } from "./sockaddr.ts";
export {
  bindSocket,
  connectSocket,
  createSocket,
  getpeername,
  getsockname,
  type ListenerOptions,
  listenOn,
  openListener,
  type PeerCredentials,
  peerCredentials,
  sendNow,
  type ShutdownDirection,
  shutdownSocket,
  socketCookie,
  type SocketFamily,
  type SocketType,
} from "./socket.ts";
export {
  getIntOption,
  setIntOption,
  setSocketTimeouts,
  SOCKET_OPTIONS,
  type SocketOption,
  type SocketOptionName,
} from "./socket_options.ts";
export {
  decodeStat,
  encodeStat,
  type FileKind,
  type FileStat,
  type FilesystemStat,
  filesystemType,
  fstat,
  fstatfs,
  HUGETLBFS_MAGIC,
  PROC_SUPER_MAGIC,
  TMPFS_MAGIC,
} from "./stat.ts";
