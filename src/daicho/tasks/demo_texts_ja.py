"""What the demo's agents do, in Japanese."""

from daicho.tasks.demo_texts import Script, Use

SYSTEM = (
    "あなたはコーディングエージェントです。一度に一つの Issue に取り組みます。\n"
    "書く前に読み、変更のたびにテストを実行し、最後に二文で報告してください。"
)

SCRIPTS = (
    Script(
        "請求書 PDF の日付が 1 日ずれる\n\n日本時間の 0 時から 9 時の間に発行すると、前日の日付になります。",
        (
            "まず再現します。タイムゾーンの扱いが怪しいので、日付を作っている箇所を探します。",
            Use(
                "search_code",
                {"query": "issued_on"},
                "billing/invoice.py:27: issued_on = datetime.utcnow().date()\n"
                "billing/pdf.py:63: draw(f'発行日 {invoice.issued_on:%Y年%m月%d日}')",
            ),
            "原因が見つかりました。`utcnow().date()` は UTC の日付なので、日本時間の朝 9 時までは前日になります。",
            Use(
                "edit_file",
                {
                    "path": "billing/invoice.py",
                    "old": "datetime.utcnow().date()",
                    "new": "datetime.now(ZoneInfo('Asia/Tokyo')).date()",
                },
                "1 か所を置き換えました",
            ),
            Use(
                "run_command",
                {"command": "pytest tests/billing -q"},
                error="1 failed, 18 passed: test_invoice_date[2026-11-01T00:30+09:00] で ImportError: ZoneInfo",
            ),
            "import が抜けていました。追加します。",
            Use(
                "edit_file",
                {
                    "path": "billing/invoice.py",
                    "old": "from datetime import datetime",
                    "new": "from datetime import datetime\nfrom zoneinfo import ZoneInfo",
                },
                "1 か所を置き換えました",
            ),
            Use("run_command", {"command": "pytest tests/billing -q"}, "19 passed in 1.12s"),
            "発行日を日本時間で決めるようにしました。0 時 30 分に発行した場合のテストも加えました。",
        ),
        "発行日が UTC で決まっていた (billing/invoice.py)。日本時間に変更する方針。残りはテスト。",
    ),
    Script(
        "検索で全角と半角を区別しないでほしい\n\n「ＡＢＣ」で探しても「ABC」が見つかりません。",
        (
            "検索の索引を作る処理と、問い合わせの処理を両方確認します。",
            Use(
                "search_code",
                {"query": "def tokenize"},
                "search/index.py:14: def tokenize(text: str) -> list[str]:",
            ),
            Use(
                "read_file",
                {"path": "search/index.py", "lines": "1-30"},
                "def tokenize(text: str) -> list[str]:\n    return re.findall(r'\\w+', text.lower())",
            ),
            "NFKC で正規化すれば、全角英数字も半角カナも揃います。索引と問い合わせは同じ関数を使っています。",
            Use(
                "edit_file",
                {
                    "path": "search/index.py",
                    "old": "text.lower()",
                    "new": "unicodedata.normalize('NFKC', text).lower()",
                },
                "1 か所を置き換えました",
            ),
            Use("run_command", {"command": "pytest tests/search -q"}, "33 passed in 2.40s"),
            Use(
                "run_command",
                {"command": "python manage.py rebuild_index --dry-run"},
                "48,210 件の文書を作り直します (予想 3 分)",
            ),
            "全角と半角、ひらがなの濁点の合成も区別しなくなりました。公開時に索引の作り直し (約 3 分) が必要です。",
        ),
        "tokenize に NFKC の正規化を加える。索引と問い合わせは同じ関数を使うので、変更は 1 か所でよい。",
    ),
    Script(
        "レビュー依頼: 予約画面のアクセシビリティ改善\n\nキーボードだけで予約を完了できるか確認してください。",
        (
            "差分を読みます。",
            Use(
                "git_diff",
                {"base": "main"},
                '-<div class="slot" onclick="pick(this)">\n+<button class="slot" type="button" aria-pressed="false">',
            ),
            "div が button になり、読み上げにも対応しています。フォーカスの移動を実際に確かめます。",
            Use(
                "run_command",
                {"command": "npx playwright test a11y --grep 予約"},
                "4 passed (9.8s)",
            ),
            Use(
                "post_comment",
                {
                    "path": "web/booking/Slot.tsx",
                    "line": 31,
                    "body": "選択後にフォーカスが先頭へ戻ります。確認ボタンへ移すと迷いません。",
                },
                "コメントを投稿しました",
            ),
            "キーボードだけで予約を完了できました。選択後のフォーカスの位置について 1 点だけ提案しました。",
        ),
        "時間枠が button になり、aria-pressed も付いた。自動テストは通る。残りはフォーカス順の確認。",
    ),
    Script(
        "CSV の取り込みで「髙」「﨑」が文字化けする",
        (
            "文字コードの判定を確認します。これらは CP932 にあり、Shift_JIS にはない文字です。",
            Use(
                "search_code",
                {"query": "shift_jis"},
                "importer/reader.py:9: ENCODINGS = ('utf-8-sig', 'shift_jis', 'euc_jp')",
            ),
            Use(
                "edit_file",
                {"path": "importer/reader.py", "old": "'shift_jis'", "new": "'cp932'"},
                "1 か所を置き換えました",
            ),
            Use("run_command", {"command": "pytest tests/importer -q"}, "27 passed in 0.71s"),
            "取り込みの文字コードを CP932 にしました。「髙」「﨑」「①」を含む CSV のテストを加えました。",
        ),
        "Shift_JIS では読めない文字がある。CP932 に変える。",
    ),
)

ERRORS = (
    "モデルの提供元が 429 を 5 回続けて返したため、10 分後に中断しました。",
    "8 回試みましたがテストが通りません: tests/test_reserve.py::test_double_booking",
    "6 回要約しましたが、コンテキストが一杯です。",
)
STOPS = ("手動で中止しました", "対象の Issue が先に閉じられました")
