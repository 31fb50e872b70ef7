/** Whether the folder of data can be used, and what is in it is whole. */
import { access, mkdtemp, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { schemas } from '../../proxy/components.ts'
import type { Config } from '../../proxy/config.ts'
import { loadReceiptKeys } from '../../proxy/receipt-keys.ts'
import { loadIdentity } from '../../router/identity.ts'
import { inspectDatabase } from '../../router/store/soundness.ts'
import { about, type Finding } from './finding.ts'

const data = about('data')
const keys = about('keys')
const database = about('database')

const LITTLE_ROOM_BYTES = 512 << 20
const OTHERS = 0o077
/** Orchestrators let a group share a volume. */
const STRANGERS = 0o007

export async function checkFiles({ dataDir }: Config): Promise<Finding[]> {
  if (!(await exists(dataDir))) return [await checkParent(dataDir)]
  const folder = await checkFolder(dataDir)
  if (folder.state === 'fault') return [folder]
  return [folder, ...(await checkKeys(dataDir)), await checkDatabase(join(dataDir, 'qis.db'))]
}

async function checkParent(dataDir: string): Promise<Finding> {
  let parent = dirname(dataDir)
  while (!(await exists(parent)) && parent !== dirname(parent)) parent = dirname(parent)
  const fault = await writingFault(parent)
  return fault === undefined
    ? data.ok(`${dataDir} will be made at the first start`)
    : data.fault(`${dataDir} cannot be made (${fault})`, 'QIS_DATA must name a folder that this user may write')
}

async function checkFolder(dataDir: string): Promise<Finding> {
  const fault = await writingFault(dataDir)
  if (fault !== undefined) {
    return data.fault(`${dataDir} cannot be written (${fault})`, 'QIS_DATA must name a folder that this user may write')
  }
  const { bavail, bsize } = await statfs(dataDir)
  const free = bavail * bsize
  if (free < LITTLE_ROOM_BYTES) {
    return data.warning(
      `only ${Math.round(free / (1 << 20))} MiB are free where ${dataDir} is`,
      'make room: feedback is refused when the disk is full',
    )
  }
  if (((await stat(dataDir)).mode & STRANGERS) === 0) return data.ok(dataDir)
  return data.warning(`other users of this machine can look into ${dataDir}`, `chmod 700 ${dataDir}`)
}

/** Why nothing can be written there; by trying, since permissions do not tell of read-only file systems. */
async function writingFault(folder: string): Promise<string | undefined> {
  try {
    await rmdir(await mkdtemp(join(folder, '.qis-doctor-')))
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

async function checkKeys(dataDir: string): Promise<Finding[]> {
  const files: [string, (file: string) => Promise<string>][] = [
    ['identity.key', async file => `known to peers as ${(await loadIdentity(file)).id}`],
    ['receipt.key', async file => `${(await loadReceiptKeys(file)).length} for receipts`],
  ]
  const findings: Finding[] = []
  for (const [name, load] of files) {
    const file = join(dataDir, name)
    if (!(await exists(file))) continue
    try {
      const found = await load(file)
      const shared = ((await stat(file)).mode & OTHERS) !== 0
      findings.push(
        shared ? keys.warning(`other users of this machine can read ${file}`, `chmod 600 ${file}`) : keys.ok(found),
      )
    } catch (error) {
      findings.push(keys.failed(error))
    }
  }
  return findings
}

async function checkDatabase(file: string): Promise<Finding> {
  if (!(await exists(file))) return database.ok('will be made at the first start')
  try {
    inspectDatabase(file, schemas)
    return database.ok(`whole, ${((await stat(file)).size / (1 << 20)).toFixed(1)} MiB`)
  } catch (error) {
    return database.failed(error)
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
