// Samples in the form that is sent: 16-bit, one channel. Pure.

/** Float samples in [-1, 1] as Int16Array; what lies outside is cut off. */
export function toPcm16(samples) {
  const pcm = new Int16Array(samples.length);
  for (let at = 0; at < samples.length; at += 1) {
    const value = Math.round(samples[at] * 32_768);
    pcm[at] = value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
  }
  return pcm;
}

/** The mean of channels of the same length. */
export function mixed(channels) {
  if (channels.length === 1) return channels[0];
  const mono = new Float32Array(channels[0].length);
  for (const channel of channels) for (let at = 0; at < mono.length; at += 1) mono[at] += channel[at] / channels.length;
  return mono;
}

/** How loud a piece is: 0 for silence, 1 for full scale, evenly spread over the 60 dB between. */
export function loudness(pcm) {
  let sum = 0;
  for (const value of pcm) sum += value * value;
  const rms = Math.sqrt(sum / Math.max(1, pcm.length)) / 32_768;
  return Math.min(1, Math.max(0, 1 + Math.log10(Math.max(rms, 1e-9)) / 3));
}
