// The look of the report: no fonts, pictures or scripts from anywhere; light or dark as the reader's screen
// is.
#pragma once

#include <string_view>

namespace pvegpu {

inline constexpr std::string_view report_style = R"css(
:root { color-scheme: light dark;
  --back: #f6f7f9; --paper: #ffffff; --ink: #1c2330; --soft: #5b6575; --line: #d9dee6;
  --error: #c62828; --warning: #995a00; --unknown: #7b4fb5; --note: #1f6fb2; --ok: #2e7d32; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14181f; --paper: #1d232d; --ink: #e6eaf0; --soft: #9aa5b5; --line: #333c4a;
  --error: #ef6b6b; --warning: #e6a23c; --unknown: #b995ea; --note: #64b1ee; --ok: #74c17a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 26px; margin: 0 0 14px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 32px 0 10px; }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.chips { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 18px; }
.chip { padding: 3px 12px; border-radius: 999px; background: var(--paper); border: 1px solid var(--line); }
.chip { color: var(--tone); font-weight: 600; text-decoration: none; } .chip[href]:hover { border-color: var(--tone); }
.error { --tone: var(--error); } .warning { --tone: var(--warning); } .unknown { --tone: var(--unknown); }
.note { --tone: var(--note); } .ok { --tone: var(--ok); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0; padding: 14px 18px;
  background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.tree { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px; }
.tree ul { list-style: none; margin: 0; padding: 0; } .tree ul ul { padding-left: 14px; border-left: 2px solid var(--line); }
.tree li { padding: 2px 0 2px 6px; overflow-wrap: anywhere; }
.address { font-weight: 700; } .gpu { color: var(--note); } .more, .legend, .promise { color: var(--soft); }
.legend, .promise { font-size: 13px; margin: 10px 0 0; } .guest { font-weight: 700; }
.finding { background: var(--paper); border: 1px solid var(--line); border-left: 4px solid var(--tone);
  border-radius: 8px; padding: 12px 16px; margin: 0 0 10px; }
.finding header { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
.finding p { margin: 6px 0 0; overflow-wrap: anywhere; }
.verdict { color: var(--tone); font-weight: 600; } .subject { font-weight: 600; font-variant-numeric: tabular-nums; }
.name { color: var(--soft); margin-left: auto; }
.finding p b { font-weight: 600; margin-right: 6px; } .why { color: var(--soft); }
.fix { background: var(--back); border-radius: 6px; padding: 8px 12px; font-size: 14px; }
.fix b { color: var(--tone); margin-right: 6px; } .fix code { font-weight: 600; margin-right: 10px; }
.does { color: var(--ok); font-size: 13px; }
details { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; }
summary { cursor: pointer; color: var(--soft); }
table { border-collapse: collapse; width: 100%; margin-top: 10px; }
td { border-top: 1px solid var(--line); padding: 5px 12px 5px 0; vertical-align: top; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; margin-top: 36px; }
@media print { body { background: none; } .finding, details { break-inside: avoid; } }
)css";

} // namespace pvegpu
