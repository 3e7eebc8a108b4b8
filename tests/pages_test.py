"""The built pages, opened from disk in a browser: nothing is cut off, no word is broken, and the search finds."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import pytest

try:
  from playwright import sync_api
  NO_PAGE = ''
except ImportError as error:
  NO_PAGE = f'{error.name} is not installed'

ROOT = pathlib.Path(__file__).parents[1]
MISSING = ', '.join(name for name in ('mkdocs', 'material', 'mkdocstrings') if not importlib.util.find_spec(name))
BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
WIDTHS = {'desktop': 1280, 'phone': 375}
# The theme's script puts every table into a box that scrolls.
BOXED = """() => [...document.querySelectorAll('.md-content table:not([class])')].every(
  (table) => table.closest('.md-typeset__scrollwrap'))"""
# Of each table, also of those that the reader opens: its start, its columns beyond the box it is in, its broken words.
TABLES = '''() => {
  document.querySelectorAll('details').forEach((details) => { details.open = true; });
  return [...document.querySelectorAll('.md-content table:not([class])')].map((table) => {
    const box = table.closest('.md-typeset__scrollwrap'), broken = [];
    const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      for (const word of texts.currentNode.data.matchAll(/[\\w.,\\u2011]+/g)) {
        const range = document.createRange();
        range.setStart(texts.currentNode, word.index);
        range.setEnd(texts.currentNode, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map((place) => Math.round(place.top))).size > 1) broken.push(word[0]);
      }
    }
    return {start: table.textContent.trim().slice(0, 40), beyond: box.scrollWidth - box.clientWidth, broken};
  });
}'''


@pytest.mark.slow
@unittest.skipIf(MISSING, f'not installed: {MISSING}')
class PagesTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.site = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / 'site'
    subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '--site-dir', cls.site], cwd=ROOT,
                   check=True, capture_output=True)
    cls.pages = sorted(page for page in cls.site.rglob('*.html') if page.name != '404.html')

  def test_nothing_is_from_another_site(self):
    self.assertTrue((self.site / 'search' / 'search_index.js').exists())
    self.assertGreater(len(self.pages), 15)
    for page in self.pages:
      self.assertNotRegex(page.read_text(), r'<(script|link|img)[^>]* (src|href)="?(https?:)?//', page.name)

  @unittest.skipIf(NO_PAGE, NO_PAGE)
  @unittest.skipUnless(BROWSER, 'there is no Chromium; expected chromium, chromium-browser or google-chrome')
  def test_in_a_browser(self):
    with sync_api.sync_playwright() as playwright, playwright.chromium.launch(executable_path=BROWSER) as browser:
      for name, width in WIDTHS.items():
        page = browser.new_page(viewport={'width': width, 'height': 900})
        for path in self.pages:
          page.goto(path.as_uri())
          page.wait_for_function(BOXED)
          for table in page.evaluate(TABLES):
            with self.subTest(f'{name}, {path.relative_to(self.site)}: {table["start"]}'):
              self.assertEqual(table['broken'], [])
              if name == 'desktop':  # On a phone wide tables scroll inside their box.
                self.assertLessEqual(table['beyond'], 0)
          with self.subTest(f'{name}, {path.relative_to(self.site)}'):
            self.assertLessEqual(page.evaluate('document.documentElement.scrollWidth - innerWidth'), 0)
      with self.subTest('search'):
        page = browser.new_page()
        page.goto((self.site / 'api' / 'models.html').as_uri())
        page.locator('.md-search__input').fill('smoothness')
        found = page.locator('.md-search-result__link').first
        found.wait_for(state='attached')
        self.assertTrue(found.get_attribute('href').startswith(self.site.as_uri()))


if __name__ == '__main__':
  unittest.main()
