// Holds the house's boundaries with dependency-cruiser, and fails when it did not really see the modules:
// a cruise over nothing would pass.
import { globSync } from 'node:fs'
import { cruise } from 'dependency-cruiser'
import configuration from '../.dependency-cruiser.mjs'

const folders = ['shared/src', 'control-plane/src', 'agent/src', 'cli/src', 'test/src']
const sources = globSync('{shared,control-plane,agent,cli,test}/src/**/*.ts').map((file) => file.replaceAll('\\', '/'))

const { output } = await cruise(folders, {
  ...configuration.options,
  ruleSet: { forbidden: configuration.forbidden },
  validate: true
})
const seen = new Set(
  output.modules
    .filter(({ dependencies, source }) => dependencies.length > 0 && !source.includes('node_modules'))
    .map(({ source }) => source)
)
const importing = sources.filter((file) => seen.has(file))
const edges = output.modules.reduce((sum, { dependencies }) => sum + dependencies.length, 0)

for (const { from, to, rule } of output.summary.violations) console.error(`${rule.severity} ${rule.name}: ${from} → ${to}`)
if (importing.length < sources.length * 0.8 || edges < sources.length) {
  console.error(
    `boundaries: only ${importing.length} of ${sources.length} files were read with their imports (${edges} in all); the parser is broken`
  )
  process.exit(1)
}
if (output.summary.error > 0) process.exit(1)
console.log(`boundaries: ${sources.length} files, ${edges} imports, no forbidden one`)
