/** The page of all settings, `docs/settings.md`, made of the table that reads them. */
import { flagOf, keyOf, type Table } from './read.ts'
import { type Variable, wordsOf } from './variable.ts'

const HEAD = `# Settings

Each setting can be said in three places, the later of which are the stronger: an environment variable
(\`QIS_DATA_LISTEN=127.0.0.1:9000\`), a line of \`qis.config.yaml\` (\`data_listen: 127.0.0.1:9000\`), and a flag of \`qis start\`
or \`npm start --\` (\`--data-listen 127.0.0.1:9000\`). The file is looked for where the sidecar is started; \`QIS_CONFIG\` or
\`--config\` names another, or is \`off\`. Lists may be YAML lists, numbers and booleans stand as they are, and relative paths
start from the file. A key that is no setting is refused.

\`qis config check\` says what is wrong and where, \`qis config show\` what is set and by what, and \`qis config schema\` prints a
JSON schema for editors, which is also \`qis.config.schema.json\` in the package:

    # yaml-language-server: $schema=./node_modules/qis-sidecar/qis.config.schema.json
    upstream: [http://127.0.0.1:8000]
    profile: clinical

SIGHUP lets a running sidecar read the file and the files it names anew: all of it, or nothing where any of it is wrong. What
is marked with ↻ takes effect at once; of the rest the log says that it waits for a restart.

This page is made of the table in \`proxy/config.ts\` by \`npm run docs:settings\`.

| setting | default | what it does |
|---|---|---|
`

export function settingsPage(table: Table): string {
  return `${HEAD}${Object.values(table).map(row).join('\n')}\n`
}

function row(variable: Variable<unknown>): string {
  const { name, help, default: preset, reloads } = variable
  const names = [name, `${keyOf(variable)}:`, `--${flagOf(variable)}`].map(code).join('<br>')
  const words = wordsOf(variable.parse).filter(word => !help.includes(word))
  const said = words.length > 0 ? `${help}: ${words.join(', ')}` : help
  return `| ${names}${reloads ? ' ↻' : ''} | ${preset ? code(preset) : ''} | ${said.replaceAll('|', '\\|')} |`
}

function code(text: string): string {
  return `\`${text}\``
}
