"""How the usage page looks, beyond what the console's theme says.

The colours of the bars can be told apart by the colour-blind, and stand out by day and by night.
"""

CSS = """
:root {
  --series-1: #2f5fb3; --series-2: #d07a10; --series-3: #0b8f6f; --series-4: #a8407f;
  --series-5: #5f4a1c; --series-6: #58a6d6; --series-7: #9a9da5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --series-1: #5b8def; --series-2: #f2a33c; --series-3: #1fae86; --series-4: #d873b4;
    --series-5: #8a7440; --series-6: #b5e0fa; --series-7: #656c7a;
  }
}
.d-tiles.d-figures { grid-template-columns: repeat(6, minmax(0, 1fr)); }
.d-figures .d-tile > * { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.d-chart { min-width: 0; }
.d-switch {
  display: flex; border: 1px solid var(--rule); border-radius: 8px; overflow: hidden; background: var(--sunk);
}
.d-switch button {
  border: 0; background: none; color: var(--ink-2); font: 12.5px/1 var(--sans); padding: 7px 11px;
  cursor: pointer;
}
.d-switch button[aria-pressed="true"] {
  background: var(--sheet); color: var(--ink); font-weight: 600; box-shadow: var(--shadow);
}
.d-page .d-switch button:focus-visible { outline-offset: -2px; }
.d-halves { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; align-items: start; }

.d-table.d-parts {
  display: grid; column-gap: 16px;
  grid-template-columns: minmax(96px, 1fr) repeat(var(--numbers), max-content);
}
.d-parts > .d-tr, .d-parts > div, .d-parts > div > .d-tr {
  display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; gap: 0 16px;
}
.d-parts > div > .d-tr:first-child { border-top-color: transparent; }
.d-part { position: relative; display: flex; align-items: center; gap: 8px; padding-bottom: 5px; }
.d-swatch { flex: none; width: 10px; height: 10px; border-radius: 3px; }
.d-share { position: absolute; left: 0; bottom: 0; height: 3px; border-radius: 2px; opacity: .7; }
.d-parts > .d-plain { grid-column: 1 / -1; border-top: 1px solid var(--rule); padding: 8px; }
.d-table.d-records {
  --columns: 108px minmax(150px, 1.6fr) minmax(90px, 1fr) minmax(90px, 1fr) 132px 76px 78px;
}
.d-table.d-of-one { --columns: 108px minmax(150px, 1.6fr) minmax(90px, 1fr) 132px 76px 78px; }
.d-of-one .d-tr > :nth-child(4) { display: none; }
.d-records .d-chip { max-width: 100%; }
.d-command { width: fit-content; max-width: 100%; overflow-wrap: anywhere; }
.d-page .d-example {
  white-space: pre; text-align: left; overflow-x: auto; max-width: 100%; padding: 12px 14px;
  font-size: 12.5px;
}
@media (max-width: 1080px) { .d-tiles.d-figures { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
@media (max-width: 900px) { .d-halves { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 640px) {
  .d-tiles.d-figures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .d-table.d-parts .d-th { display: grid; }
  .d-parts .d-th > :not(h2) { display: none; }
  .d-table.d-parts, .d-parts > .d-tr, .d-parts > div, .d-parts > div > .d-tr {
    grid-template-columns: minmax(0, 1fr) auto;
  }
  .d-parts > div > .d-tr { row-gap: 2px; }
  .d-parts > div > .d-tr > .d-right { text-align: right; }
  .d-parts > div > .d-tr > :nth-child(n+3) { font-size: 12px; color: var(--ink-3); }
  .d-parts > div > .d-tr > :nth-child(n+3)::before { content: attr(data-label) " "; }
  .d-parts > div > .d-tr > :nth-child(odd):nth-child(n+3) { text-align: left; }
  .d-records .d-tr { grid-template-columns: minmax(0, 1fr) fit-content(50%); }
  .d-records .d-tr > :nth-child(n+3) { font-size: 12.5px; color: var(--ink-3); }
  .d-records .d-tr > :nth-child(1) { order: 1; text-align: right; font-size: 12.5px; color: var(--ink-3); }
  .d-records .d-tr > :nth-child(n+3) { order: 2; }
  .d-records .d-tr > :nth-child(even):nth-child(n+3) { text-align: right; }
  .d-of-one .d-tr > .d-right:nth-child(odd) { text-align: right; }
  .d-of-one .d-tr > .d-right:nth-child(6) { text-align: left; }
}
"""
