// Which connections are tried, in which order. Pure.

/** A way: {transport: "webtransport" | "websocket", url, hashes, inDatagrams}; the last where audio shall go in them. */

/** The ways to this page's own gateway. `wish`: "automatic", "webtransport" or "websocket". */
export function waysHere(settings, { pageUrl, canWebTransport, wish = "automatic", inDatagrams = false }) {
  const ways = [];
  const offer = settings.webtransport;
  if (offer && canWebTransport && wish !== "websocket") {
    ways.push({ transport: "webtransport", url: offer.url, hashes: offer.certificate_sha256, inDatagrams });
  }
  if (wish !== "webtransport" || !ways.length) {
    const url = new URL(settings.websocket.path, pageUrl);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    ways.push({ transport: "websocket", url: url.href, hashes: [] });
  }
  return ways;
}

/**
 * The ways to gateways that a message named: WebTransport and WebSocket in turns, so that where UDP is lost, WebSocket
 * of the best gateway is one wait away. A page that came over TLS may not go on without. `settings`: of this page's
 * gateway. Where that is known by the hash of its certificate, others would be too, and nobody tells their hashes.
 */
export function waysTo(addresses, { pageUrl, settings = {}, canWebTransport = false, wish = "automatic", inDatagrams = false }) {
  const schemes = new URL(pageUrl).protocol === "https:" ? ["wss:"] : ["wss:", "ws:"];
  const websockets = addresses.filter((address) => schemes.includes(schemeOf(address)));
  const offer = settings.webtransport;
  const mayWebTransport = Boolean(offer) && !offer.certificate_sha256.length && canWebTransport && wish !== "websocket";
  const webtransports = mayWebTransport ? addresses.filter((address) => schemeOf(address) === "https:") : [];
  const ways = [];
  for (let at = 0; at < Math.max(websockets.length, webtransports.length); at += 1) {
    if (at < webtransports.length) ways.push({ transport: "webtransport", url: webtransports[at], hashes: [], inDatagrams });
    if (at < websockets.length) ways.push({ transport: "websocket", url: websockets[at], hashes: [] });
  }
  return ways;
}

/** Each address and transport once, in order. */
export function withoutRepetition(ways) {
  const seen = new Set();
  return ways.filter(({ transport, url }) => {
    const name = `${transport} ${url}`;
    return !seen.has(name) && seen.add(name);
  });
}

function schemeOf(address) {
  try {
    return new URL(address).protocol;
  } catch {
    return "";
  }
}
