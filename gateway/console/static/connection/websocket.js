// One connection over WebSocket.

import { pause, within } from "./deadline.js";

const SUBPROTOCOL = "patchbay.v1";
const MOST_BUFFERED_BYTES = 131_072; // 4 s of audio: more would only lie in the browser
const POLL_MS = 20;

/**
 * Open a connection. `hear` gets each message of the server as its JSON text.
 * Rejects where none can be had within the deadline; browsers do not say why.
 */
export async function openWebSocket({ url }, { deadlineMs, hear }) {
  const socket = new WebSocket(url, [SUBPROTOCOL]);
  socket.binaryType = "arraybuffer";
  const connection = new SocketConnection(socket, url, hear);
  const opened = new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("close", () => reject(new Error("no WebSocket connection could be opened")), { once: true });
  });
  try {
    await within(deadlineMs, opened, "a WebSocket connection");
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}

class SocketConnection {
  name = "websocket";
  inDatagrams = false;
  #socket;

  constructor(socket, url, hear) {
    this.url = url;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") hear(data);
    });
    /** Resolves once with {code, reason} when the connection is over; code null: it was lost. */
    this.whenClosed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason, wasClean }) => resolve({ code: wasClean ? code : null, reason }));
    });
  }

  async sendText(text) {
    await this.#room();
    this.#socket.send(text);
  }

  async sendAudio(bytes) {
    await this.#room();
    this.#socket.send(bytes);
  }

  close() {
    this.#socket.close(1000);
  }

  /** Waits while the gateway holds us back. Rejects when the connection is gone. */
  async #room() {
    while (this.#socket.bufferedAmount > MOST_BUFFERED_BYTES && this.#socket.readyState === WebSocket.OPEN) await pause(POLL_MS);
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error("the WebSocket connection is gone");
  }
}
