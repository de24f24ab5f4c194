"""The demo's conversations in Japanese."""

from daicho.calls.demo_texts import Script

SCRIPTS = (
    Script(
        "sakura-clinic",
        """
        greeting  ai    お電話ありがとうございます。さくら内科クリニックの AI 受付です。ご用件をお聞かせください。
        greeting  user  あ、すみません、診察の予約を取りたいんですが。
        identify  ai    ありがとうございます。お名前を教えていただけますか。
        identify  user  {name}です。
        inquiry   ai    {name}様ですね。今日はどのような症状でいらっしゃいますか。
        inquiry   user  三日くらい前から咳が続いていて、熱はありません。
        booking   ai    かしこまりました。{day}でしたら、{time}が空いております。
        booking   user  {time}でお願いします。
        confirm   ai    {day}の{time}、{name}様でお取りしました。保険証をお持ちください。
        confirm   user  はい、わかりました。
        closing   ai    お大事になさってください。お電話ありがとうございました。
        """,
    ),
    Script(
        "sakura-clinic",
        """
        greeting  ai    お電話ありがとうございます。さくら内科クリニックの AI 受付です。
        inquiry   user  子どもが昨日の夜から 39 度の熱で、水分もあまり取れないんです。
        identify  ai    ご心配ですね。お子さまのお名前とお年を教えてください。
        identify  user  {name}、五歳です。
        inquiry   ai    ぐったりしている、呼びかけに反応しにくい、といった様子はありますか。
        inquiry   user  少しぐったりしています。反応はあります。
        handover  ai    すぐに看護師におつなぎします。そのままお待ちください。
        handover  user  お願いします。
        """,
        "五歳の{name}さん。昨夜から 39 度の発熱、水分が取れず少しぐったり。反応はあり。受診の要否を相談したい。",
    ),
    Script(
        "sakura-clinic",
        """
        greeting  ai    さくら内科クリニックの AI 受付です。ご用件をどうぞ。
        inquiry   user  インフルエンザの予防接種って、まだやってますか。
        inquiry   ai    はい、平日の午後に承っております。料金は大人の方で 3,800 円です。
        inquiry   user  家族{people}人で行きたいんですけど、同じ日にできますか。
        booking   ai    {day}の{time}から、{people}名様続けてお取りできます。
        booking   user  じゃあそこでお願いします。
        identify  ai    代表の方のお名前をお願いいたします。
        identify  user  {name}です。
        confirm   ai    {day}の{time}、{name}様ほか、計{people}名様で承りました。
        closing   user  ありがとうございます。助かります。
        closing   ai    当日お待ちしております。失礼いたします。
        """,
    ),
    Script(
        "dining-hanabi",
        """
        greeting  ai    お電話ありがとうございます。炭火ダイニング花火、AI 受付でございます。
        booking   user  {day}の夜、{people}人で予約できますか。
        booking   ai    {day}でございますね。{time}からテーブル席をご用意できます。
        booking   user  個室は空いてないですか。
        booking   ai    申し訳ございません、個室は埋まっております。窓側の半個室でしたらお取りできます。
        booking   user  それでいいです。
        identify  ai    お名前とお電話番号をお願いいたします。
        identify  user  {name}です。番号はこの番号で。
        confirm   ai    {day}の{time}、{people}名様、窓側の半個室でお取りしました。
        confirm   user  飲み放題は当日でも付けられますか。
        confirm   ai    はい、当日お席でお申し付けください。
        closing   user  わかりました。よろしくお願いします。
        closing   ai    {name}様のご来店をお待ちしております。
        """,
    ),
    Script(
        "dining-hanabi",
        """
        greeting  ai    炭火ダイニング花火、AI 受付でございます。ご用件をお聞かせください。
        identify  user  {day}に予約している{name}ですが、ちょっと相談がありまして。
        identify  ai    {name}様、{people}名様のご予約を確認いたしました。どのようなご相談でしょうか。
        inquiry   user  一人、そばと甲殻類のアレルギーがあるんです。コースの内容を変えられますか。
        inquiry   ai    アレルギーは命に関わりますので、私からお約束せず、料理長に確認いたします。
        inquiry   user  そうですよね。できればエビの代わりに野菜にしてもらえると。
        handover  ai    承知しました。ただいま担当の者におつなぎします。
        handover  user  はい、待ちます。
        """,
        "{day}ご予約の{name}様 ({people}名)。一名そば・甲殻類アレルギー。コースのエビを野菜に替えたい。料理長の確認が必要。",
    ),
    Script(
        "ryokan-tsukishiro",
        """
        greeting  ai    月白旅館の AI 予約係でございます。
        inquiry   user  {day}から一泊で予約してるんですが、到着が遅れそうで。
        identify  ai    ご連絡ありがとうございます。お名前か予約番号をお願いいたします。
        identify  user  予約番号は {ref} です。
        identify  ai    {name}様、{people}名様でございますね。何時ごろのご到着になりますか。
        inquiry   user  たぶん 20 時半くらいになると思います。夕食ってどうなりますか。
        booking   ai    お食事処は 20 時までですので、お部屋に夜食のお膳をご用意いたします。追加料金はございません。
        booking   user  えっ、それはありがたいです。お願いします。
        confirm   ai    20 時 30 分ごろのご到着、お部屋でのお膳に変更いたしました。
        closing   user  温泉は何時まで入れますか。
        closing   ai    大浴場は 24 時まで、朝は 5 時からご利用いただけます。
        closing   user  よかった。ではよろしくお願いします。
        closing   ai    どうぞお気をつけてお越しくださいませ。
        """,
    ),
    Script(
        "ryokan-tsukishiro",
        """
        greeting  ai    お電話ありがとうございます。月白旅館でございます。
        inquiry   user  先日泊まったんですが、部屋に充電器を忘れたみたいで。
        identify  ai    お手数ですが、ご宿泊日とお名前をお聞かせください。
        identify  user  先週の土曜日に泊まった{name}です。
        inquiry   ai    お忘れ物の記録を確認いたします。白い USB の充電器でお間違いないでしょうか。
        inquiry   user  それです！ 送ってもらうことはできますか。
        confirm   ai    はい、着払いでお送りいたします。ご登録のご住所でよろしいでしょうか。
        confirm   user  はい、同じ住所で大丈夫です。
        closing   ai    本日中に発送いたします。またのお越しをお待ちしております。
        closing   user  ありがとうございました。
        """,
    ),
    Script(
        "hikari-net",
        """
        greeting  ai    ヒカリネット サポートの AI 担当です。お困りの内容をお話しください。
        inquiry   user  今朝から急にネットがつながらなくなりました。
        identify  ai    ご不便をおかけしております。お客様番号を教えていただけますか。
        identify  user  {ref} です。
        inquiry   ai    {name}様ですね。ルーターのランプのうち、赤く点いているものはございますか。
        inquiry   user  えーと、「光」っていうランプが赤です。
        inquiry   ai    機器から回線までの間で信号が途切れています。電源を抜いて 2 分待ち、入れ直してみてください。
        inquiry   user  はい、ちょっと待ってくださいね……抜きました。
        inquiry   user  あ、緑になりました！ つながったみたいです。
        confirm   ai    こちらからも接続を確認できました。速度も正常です。
        closing   user  助かりました。また切れたらどうすればいいですか。
        closing   ai    24 時間いつでもこの番号におかけください。履歴を引き継いでご案内します。
        """,
    ),
    Script(
        "hikari-net",
        """
        greeting  ai    ヒカリネット サポートの AI 担当です。
        inquiry   user  来月引っ越すんですが、解約したほうが安いのか、移転したほうがいいのか知りたくて。
        identify  ai    お客様番号をお願いいたします。
        identify  user  {ref}、{name}です。
        inquiry   ai    契約の更新月は三か月後です。いま解約されますと、違約金が 4,500 円かかります。
        inquiry   user  うーん、移転だと工事費がかかるんですよね？
        inquiry   ai    キャンペーン中は工事費が無料になる場合がございますが、新しいご住所によります。
        inquiry   user  マンションの設備のことも聞きたいので、人と話せますか。
        handover  ai    かしこまりました。お引っ越し窓口の担当者におつなぎします。
        """,
        "{name}様 ({ref})。来月引っ越し。解約 (違約金 4,500 円) と移転の比較を希望。新居マンションの設備と工事費無料の可否を確認したい。",
    ),
    Script(
        "minato-city",
        """
        greeting  ai    みなと市役所、AI 総合案内です。
        inquiry   user  住民票がほしいんですが、何が必要ですか。
        inquiry   ai    窓口では本人確認書類と手数料 300 円が必要です。マイナンバーカードをお持ちでしたら、コンビニでも 200 円で取れます。
        inquiry   user  カードはあります。コンビニって何時までですか。
        inquiry   ai    6 時半から 23 時までご利用いただけます。年末年始は休止いたします。
        inquiry   user  家族全員分が載ってるやつも取れます？
        confirm   ai    はい、「世帯全員」をお選びください。続柄の記載も選べます。
        closing   user  なるほど、わかりました。
        closing   ai    ほかにご不明な点がございましたら、いつでもお電話ください。
        """,
    ),
    Script(
        "minato-city",
        """
        greeting  ai    みなと市役所、AI 総合案内です。ご用件をどうぞ。
        inquiry   user  ソファーを捨てたいんですが、粗大ごみの申し込みはここでいいですか。
        inquiry   ai    はい、このお電話で承ります。二人掛けですか、三人掛けですか。
        inquiry   user  二人掛けです。あと、壊れた扇風機も一つ。
        identify  ai    お名前と、収集場所の町名をお願いいたします。
        identify  user  {name}です。南町です。
        booking   ai    南町の次の収集日は{day}です。手数料は合わせて 1,200 円になります。
        booking   user  その日でお願いします。
        confirm   ai    受付番号は {ref} です。朝 8 時までに、番号を書いた紙を貼ってお出しください。
        confirm   user  手数料はどこで払うんですか。
        confirm   ai    コンビニで処理券をご購入ください。800 円券と 400 円券です。
        closing   user  はい、ありがとうございました。
        """,
    ),
    Script(
        "kujira-repair",
        """
        greeting  ai    くじら家電修理の AI 受付です。
        inquiry   user  洗濯機が脱水のときにすごい音がするんです。
        inquiry   ai    お困りですね。メーカーと、お使いの年数を教えていただけますか。
        inquiry   user  ドラム式で、六年くらい使ってます。床まで揺れます。
        inquiry   ai    ベアリングの摩耗の可能性がございます。出張点検は 3,300 円、修理される場合は点検料をいただきません。
        booking   user  来てもらうとしたら、いつになりますか。
        booking   ai    {day}の{time}以降でしたら伺えます。
        identify  user  それでお願いします。{name}と申します。
        confirm   ai    {name}様、{day}の{time}以降に伺います。それまで脱水はお控えください。
        closing   user  わかりました、使わないでおきます。
        closing   ai    到着の 30 分前にお電話いたします。失礼いたします。
        """,
    ),
    Script(
        "kujira-repair",
        """
        greeting  ai    くじら家電修理の AI 受付です。ご用件をお聞かせください。
        inquiry   user  先週預けた炊飯器、どうなってますか。
        identify  ai    お預かり番号をお願いいたします。
        identify  user  {ref} です。
        inquiry   ai    {name}様の炊飯器ですね。部品が届き、昨日修理が終わっております。
        inquiry   user  おいくらでした？
        confirm   ai    部品代と技術料を合わせて 6,050 円です。{day}からお受け取りいただけます。
        confirm   user  何時まで開いてますか。
        confirm   ai    平日は 19 時、土曜日は 17 時までです。
        closing   user  じゃあ土曜に取りに行きます 🙇
        closing   ai    お待ちしております。お預かり票をお持ちください。
        """,
    ),
)
