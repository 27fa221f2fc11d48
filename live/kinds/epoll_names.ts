/**
 * The words of epoll_ctl(2), without `EPOLL`.
 *
 * @module
 */
import { EPOLL } from "../../sys/epoll.ts";

/** What can be waited for, and how: epoll_ctl(2) without `EPOLL`. */
export type EpollFlag =
  | "in"
  | "pri"
  | "out"
  | "err"
  | "hup"
  | "rdnorm"
  | "rdband"
  | "wrnorm"
  | "wrband"
  | "msg"
  | "rdhup"
  | "exclusive"
  | "wakeup"
  | "oneshot"
  | "et";

/** The bits of the words. */
export const EPOLL_FLAGS: Readonly<Record<EpollFlag, number>> = {
  in: EPOLL.IN,
  pri: EPOLL.PRI,
  out: EPOLL.OUT,
  err: EPOLL.ERR,
  hup: EPOLL.HUP,
  rdnorm: EPOLL.RDNORM,
  rdband: EPOLL.RDBAND,
  wrnorm: EPOLL.WRNORM,
  wrband: EPOLL.WRBAND,
  msg: EPOLL.MSG,
  rdhup: EPOLL.RDHUP,
  exclusive: EPOLL.EXCLUSIVE,
  wakeup: EPOLL.WAKEUP,
  oneshot: EPOLL.ONESHOT,
  et: EPOLL.ET,
};
