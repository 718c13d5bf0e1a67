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

/** The ways to gateways that a message named. A page that came over TLS may not go on without. */
export function waysTo(addresses, { pageUrl }) {
  const schemes = new URL(pageUrl).protocol === "https:" ? ["wss:"] : ["wss:", "ws:"];
  return addresses.filter((address) => schemes.includes(schemeOf(address))).map((url) => ({ transport: "websocket", url, hashes: [] }));
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
