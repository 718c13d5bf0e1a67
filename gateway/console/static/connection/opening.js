// Opens a connection by a way of either kind.

import { openWebSocket } from "./websocket.js";
import { openWebTransport } from "./webtransport.js";

const OPENERS = { webtransport: openWebTransport, websocket: openWebSocket };

/** Rejects where none can be had within the deadline. */
export function open(way, { deadlineMs, hear }) {
  return OPENERS[way.transport](way, { deadlineMs, hear });
}
