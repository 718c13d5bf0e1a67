// When a session that lost its connection tries again, and when it gives up. Pure: time and dice are arguments.

export const RESUME_RULES = {
  firstDelayMs: 250,
  maxDelayMs: 5_000,
  giveUpMs: 60_000,
};

/**
 * How long to wait before the attempt, in elapsed milliseconds; null: it is given up. Each round goes through all ways;
 * rounds come ever later, and each client draws its own pause, so that a region's clients do not come back as one.
 */
export function delayBeforeMs({ attempt, numWays, lostForMs, advisedMs = 0, dice = Math.random, rules = RESUME_RULES }) {
  if (lostForMs >= rules.giveUpMs) return null;
  const round = Math.floor(attempt / numWays);
  if (attempt % numWays) return 0;
  if (round === 0) return Math.max(advisedMs, dice() * rules.firstDelayMs);
  const wholeMs = Math.min(rules.maxDelayMs, Math.max(advisedMs, rules.firstDelayMs * 2 ** Math.min(round, 10)));
  return wholeMs / 2 + (dice() * wholeMs) / 2;
}
