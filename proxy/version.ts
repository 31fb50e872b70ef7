/** The version of this program, as its package says; from the sources as from the published package. */
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'

const manifest = findPackageJSON(import.meta.url)
if (manifest === undefined) throw new Error('the package.json of this program is missing')

export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
