// Times and durations, as people say them.

import { now } from "./server.js";

const UNITS = [["day", 86_400], ["h", 3600], ["min", 60]];

// Return a duration in ms: "42 s", "3 min 5 s".
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

// Return how long ago a moment was: "5 min ago".
export function ago(moment) {
  const seconds = (now() - Date.parse(moment)) / 1000;
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? [];
  if (!unit) return "just now";
  const count = Math.floor(seconds / length);
  return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""} ago`;
}

export const local = (moment) =>
  new Date(moment).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
