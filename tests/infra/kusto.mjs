// Reads {"tables": {name: schema}, "queries": {name: text}} from standard input and prints {name: [problem, …]}: what
// Microsoft's parser and checker of KQL says about each query. Its package is in the folder of the first argument.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const load = createRequire(`${process.argv[2]}/`);
const service = "@kusto/language-service-next";
load(`${service}/bridge.min.js`);
load(`${service}/Kusto.Language.Bridge.min.js`);
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

const { tables, queries } = JSON.parse(readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, schema]) => new Symbols.TableSymbol.$ctor7(name, `(${schema})`, null));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("ApplicationInsights", symbols));

const problems = {};
for (const [name, text] of Object.entries(queries)) {
  problems[name] = [];
  const found = globalThis.Bridge.getEnumerator(KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics());
  while (found.moveNext()) {
    const { Message, Start, Length } = found.Current;
    problems[name].push(`${Message} [${text.slice(Start, Start + Length)}]`);
  }
}
console.log(JSON.stringify(problems));
