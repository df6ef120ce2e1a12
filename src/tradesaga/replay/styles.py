"""The style sheet of the report; light and dark as the reader's system has it."""

from __future__ import annotations

STYLES = """
:root { color-scheme: light dark; --text: #1c2330; --dim: #667085; --line: #d9dee7;
  --paper: #ffffff; --first: #1f5fbf; --second: #c2571a; --wrong: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ef; --dim: #98a2b3; --line: #313a48;
  --paper: #12161d; --first: #6ea8ff; --second: #ff9d5c; --wrong: #ff8a80; } }
body { margin: 0; background: var(--paper); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; }
.tiles div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.tiles span { display: block; }
.tiles .name { color: var(--dim); font-size: .8rem; }
.tiles strong { color: var(--first); font-size: 1.05rem; font-variant-numeric: tabular-nums; }
.tiles .other { color: var(--second); font-weight: 600; font-variant-numeric: tabular-nums; }
.legend span { margin-right: 1.5rem; font-weight: 600; }
.legend .first { color: var(--first); }
.legend .second { color: var(--second); }
.wrong { color: var(--wrong); font-weight: 600; }
svg { width: 100%; height: auto; }
svg .grid { stroke: var(--line); }
svg .day { stroke: var(--dim); stroke-dasharray: 2 4; }
svg .tick { fill: var(--dim); font-size: 12px; font-variant-numeric: tabular-nums; }
svg polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
svg polyline.first { stroke: var(--first); }
svg polyline.second { stroke: var(--second); stroke-dasharray: 5 3; }
svg polygon { opacity: .18; }
svg polygon.first { fill: var(--first); }
svg polygon.second { fill: var(--second); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
th { color: var(--dim); font-weight: 600; }
td { font-variant-numeric: tabular-nums; }
.number { text-align: right; padding-right: 1.2rem; }
"""
