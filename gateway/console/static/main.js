// Puts the console together: what all sections share, and the sections.

import { LiveSection } from "./live/section.js";
import { Settings } from "./shell/settings.js";

const SECTIONS = { live: LiveSection };

const settings = new Settings();
for (const [id, Section] of Object.entries(SECTIONS)) new Section(document.getElementById(id), { settings });

try {
  const { region } = await settings.newest();
  const chip = document.getElementById("region");
  chip.querySelector("[data-value]").textContent = region;
  chip.hidden = false;
} catch {
  // Whoever starts a session hears that the gateway does not answer.
}
document.documentElement.dataset.ready = "true";
