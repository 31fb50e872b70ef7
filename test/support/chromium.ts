/** A real browser for the tests of pages; none is downloaded, so it is the machine's own or none. */
import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = process.env.QIS_TEST_CHROMIUM ?? PLACES.find(place => existsSync(place))

/** Why a test that needs the browser is skipped; false when there is one. */
export const noChromium: string | false =
  executablePath === undefined &&
  'chromium is not installed (Debian: apt-get install chromium); QIS_TEST_CHROMIUM names another'

export async function startChromium(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  // No sandbox: in containers, where tests run as root, Chromium has none. It sees our own pages only.
  return chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox', '--disable-gpu'] })
}
