/** `npm run docs:settings`: the schema of the file of settings, and the page that lists them, from the table itself. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsPage } from '../proxy/config/reference.ts'
import { fileSchema } from '../proxy/config/schema.ts'
import { settings } from '../proxy/config.ts'

const ROOT = join(import.meta.dirname, '..')

writeFileSync(join(ROOT, 'qis.config.schema.json'), `${JSON.stringify(fileSchema(settings), undefined, 2)}\n`)
writeFileSync(join(ROOT, 'docs/settings.md'), settingsPage(settings))
