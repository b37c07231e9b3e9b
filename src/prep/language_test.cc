#include "prep/language.h"

#include <gtest/gtest.h>

#include <set>

namespace bgl::prep {
namespace {

struct Sentence {
  const char* code;
  const char* text;
};

// The first article of the Universal Declaration of Human Rights, as the United Nations publish it; in Bulgarian, where CLD2
// takes that article for Serbian, two other sentences.
constexpr Sentence kSentences[] = {
    {"en",
     "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should "
     "act towards one another in a spirit of brotherhood."},
    {"de",
     "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen "
     "einander im Geiste der Brüderlichkeit begegnen."},
    {"fr",
     "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et "
     "doivent agir les uns envers les autres dans un esprit de fraternité."},
    {"es",
     "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben "
     "comportarse fraternalmente los unos con los otros."},
    {"pt",
     "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir "
     "uns para com os outros em espírito de fraternidade."},
    {"it",
     "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di coscienza e "
     "devono agire gli uni verso gli altri in spirito di fratellanza."},
    {"nl",
     "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, en "
     "behoren zich jegens elkander in een geest van broederschap te gedragen."},
    {"sv",
     "Alla människor är födda fria och lika i värde och rättigheter. De har utrustats med förnuft och samvete och bör handla "
     "gentemot varandra i en anda av gemenskap."},
    {"da",
     "Alle mennesker er født frie og lige i værdighed og rettigheder. De er udstyret med fornuft og samvittighed, og de bør "
     "handle mod hverandre i en broderskabets ånd."},
    {"no",
     "Alle mennesker er født frie og med samme menneskeverd og menneskerettigheter. De er utstyrt med fornuft og samvittighet "
     "og bør handle mot hverandre i brorskapets ånd."},
    {"fi",
     "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki ja omatunto, ja "
     "heidän on toimittava toisiaan kohtaan veljeyden hengessä."},
    {"is",
     "Hver maður er borinn frjáls og jafn öðrum að virðingu og réttindum. Menn eru gæddir vitsmunum og samvizku, og ber þeim "
     "að breyta bróðurlega hverjum við annan."},
    {"et",
     "Kõik inimesed sünnivad vabadena ja võrdsetena oma väärikuselt ja õigustelt. Neile on antud mõistus ja südametunnistus ja "
     "nende suhtumist üksteisesse peab kandma vendluse vaim."},
    {"lv",
     "Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās. Viņi ir apveltīti ar saprātu un sirdsapziņu, un "
     "viņiem jāizturas citam pret citu brālības garā."},
    {"lt",
     "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Jiems suteiktas protas ir sąžinė ir jie turi elgtis vienas "
     "kito atžvilgiu kaip broliai."},
    {"pl",
     "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i "
     "powinni postępować wobec innych w duchu braterstwa."},
    {"cs",
     "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat "
     "v duchu bratrství."},
    {"sk",
     "Všetci ľudia sa rodia slobodní a sebe rovní, čo sa týka ich dôstojnosti a práv. Sú obdarení rozumom a majú navzájom "
     "jednať v bratskom duchu."},
    {"sl",
     "Vsi ljudje se rodijo svobodni in imajo enako dostojanstvo in enake pravice. Obdarjeni so z razumom in vestjo in bi "
     "morali ravnati drug z drugim kakor bratje."},
    {"hr",
     "Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima. Svakome su dostupna sva prava i slobode navedene "
     "u ovoj Deklaraciji bez razlike bilo koje vrste, kao što su rasa, boja, spol, jezik, vjera, političko ili drugo mišljenje."},
    {"sr",
     "Сва људска бића рађају се слободна и једнака у достојанству и правима. Она су обдарена разумом и свешћу и треба једни "
     "према другима да поступају у духу братства."},
    {"bg",
     "България е държава в източната част на Балканския полуостров. Столицата ѝ е град София, който е и най-големият град в "
     "страната."},
    {"mk",
     "Сите човечки суштества се раѓаат слободни и еднакви по достоинство и права. Тие се обдарени со разум и совест и треба да "
     "се однесуваат еден кон друг во духот на општо човечката припадност."},
    {"ru",
     "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать "
     "в отношении друг друга в духе братства."},
    {"uk",
     "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю і повинні діяти у "
     "відношенні один до одного в дусі братерства."},
    {"be",
     "Усе людзі нараджаюцца свабоднымі і роўнымі ў сваёй годнасці і правах. Яны надзелены розумам і сумленнем і павінны "
     "ставіцца адзін да аднаго ў духу брацтва."},
    {"ro",
     "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Ele sunt înzestrate cu rațiune și conștiință "
     "și trebuie să se comporte unele față de altele în spiritul fraternității."},
    {"hu",
     "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és lelkiismerettel bírván, "
     "egymással szemben testvéri szellemben kell hogy viseltessenek."},
    {"el",
     "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική και "
     "συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης."},
    {"tr",
     "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı "
     "kardeşlik zihniyeti ile hareket etmelidirler."},
    {"az",
     "Bütün insanlar ləyaqət və hüquqlarına görə azad və bərabər doğulurlar. Onların şüurları və vicdanları var və "
     "bir-birlərinə münasibətdə qardaşlıq ruhunda davranmalıdırlar."},
    {"sq",
     "Të gjithë njerëzit lindin të lirë dhe të barabartë në dinjitet dhe në të drejta. Ata kanë arsye dhe ndërgjegje dhe duhet "
     "të sillen ndaj njëri tjetrit me frymë vëllazërimi."},
    {"eu",
     "Gizon-emakume guztiak aske jaiotzen dira, duintasun eta eskubide berberak dituztela; eta ezaguera eta kontzientzia "
     "dutenez gero, elkarren artean senide legez jokatu beharra dute."},
    {"ca",
     "Tots els éssers humans neixen lliures i iguals en dignitat i en drets. Són dotats de raó i de consciència, i han de "
     "comportar-se fraternalment els uns amb els altres."},
    {"gl",
     "Tódolos seres humanos nacen libres e iguais en dignidade e dereitos e, dotados como están de razón e conciencia, díbense "
     "comportar fraternalmente uns cos outros."},
    {"ga",
     "Saoláitear na daoine uile saor agus comhionann ina ndínit agus ina gcearta. Tá bauidh an réasúin agus an choinsiasa acu "
     "agus dlíd gníomhú i dtreo a chéile i spiorad an bhráithreachais."},
    {"cy",
     "Genir pawb yn rhydd ac yn gydradd â'i gilydd mewn urddas a hawliau. Fe'u cynysgaeddir â rheswm a chydwybod, a dylai pawb "
     "ymddwyn y naill at y llall mewn ysbryd cymodlon."},
    {"mt",
     "Il-bnedmin kollha jitwieldu ħielsa u ugwali fid-dinjità u d-drittijiet. Huma mogħnija bir-raġuni u bil-kuxjenza u "
     "għandhom iġibu ruħhom ma' xulxin bi spirtu ta' aħwa."},
    {"he",
     "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח "
     "של אחווה."},
    {"ar", "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء."},
    {"fa",
     "تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند. همه دارای عقل و وجدان هستند و باید نسبت "
     "به "
     "یکدیگر با روح برادری رفتار کنند."},
    {"ur",
     "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔ انہیں ضمیر اور عقل ودیعت ہوئی ہے۔ اس لئے انہیں ایک "
     "دوسرے کے ساتھ بھائی چارے کا سلوک کرنا چاہیئے۔"},
    {"hi",
     "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें "
     "भाईचारे के भाव से बर्ताव करना चाहिए।"},
    {"mr",
     "सर्व मानवी व्यक्ति जन्मतःच स्वतंत्र आहेत व त्यांना समान प्रतिष्ठा व समान अधिकार आहेत. त्यांना विचारशक्ती व सदसद्विवेकबुद्धी लाभलेली आहे व "
     "त्यांनी एकमेकांशी बंधुत्वाच्या भावनेने आचरण करावे."},
    {"ne",
     "सबै व्यक्तिहरू जन्मजात स्वतन्त्र हुन् र तिनीहरूको समान अधिकार र महत्व छ। निजहरूमा विचार शक्ति र सद्विचार भएकोले निजहरूले आपसमा भातृत्वको "
     "भावनाबाट व्यवहार गर्नु पर्छ।"},
    {"bn",
     "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে। তাঁদের বিবেক এবং বুদ্ধি আছে; সুতরাং সকলেরই একে অপরের প্রতি "
     "ভ্রাতৃত্বসুলভ মনোভাব নিয়ে আচরণ করা উচিৎ।"},
    {"ta", "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; அவர்கள் மதிப்பிலும், உரிமைகளிலும் சமமானவர்கள்."},
    {"te", "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు."},
    {"kn", "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ. ಹಾಗೂ ಘನತೆ ಮತ್ತು ಹಕ್ಕುಗಳಲ್ಲಿ ಸಮಾನರಾಗಿದ್ದಾರೆ."},
    {"ml", "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി ജനിച്ചിട്ടുള്ളവരാണ്."},
    {"gu", "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે."},
    {"pa", "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ, ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ ਜਨਮ ਤੋਂ ਹੀ ਆਜ਼ਾਦ ਹੈ ਅਤੇ ਸੁਤੇ ਸਿੱਧ ਸਾਰੇ ਲੋਕ ਬਰਾਬਰ ਹਨ।"},
    {"si",
     "සියලු මනුෂ්‍යයෝ නිදහස්ව උපත ලබා ඇත. ගරුත්වයෙන් හා අයිතිවාසිකම්වලින් "
     "සමාන "
     "වෙති."},
    {"th", "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในศักดิ์ศรีและสิทธิ ต่างในตนมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยจิตวิญญาณแห่งภราดรภาพ"},
    {"lo", "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ, ສິດທິ, ເສລີພາບ ແລະ ຄວາມສະເໝີພາບເທົ່າທຽມກັນ."},
    {"km", "មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។"},
    {"my", "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ တူညီလွတ်လပ်သော အခွင့်အရေးများဖြင့် လည်းကောင်း၊ မွေးဖွားလာသူများ ဖြစ်သည်။"},
    {"ka",
     "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით. მათ მინიჭებული აქვთ გონება და სინდისი და "
     "ერთმანეთის მიმართ უნდა იქცეოდნენ ძმობის სულისკვეთებით."},
    {"hy",
     "Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով: Նրանք ունեն բանականություն ու խիղճ և "
     "միմյանց պետք է եղբայրաբար վերաբերվեն:"},
    {"ko",
     "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 "
     "형제애의 정신으로 행동하여야 한다."},
    {"ja",
     "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており"
     "、互いに同胞の精神をもって行動しなければならない。"},
    {"zh", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"},
    {"zh-Hant", "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神相對待。"},
    {"vi",
     "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con người đều được tạo hóa ban cho lý "
     "trí và lương tâm và cần phải đối xử với nhau trong tình bằng hữu."},
    {"id",
     "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama. Mereka dikaruniai akal dan hati nurani dan "
     "hendaknya bergaul satu sama lain dalam semangat persaudaraan."},
    {"ms",
     "Semua manusia dilahirkan bebas dan samarata dari segi kemuliaan dan hak-hak. Mereka mempunyai pemikiran dan perasaan "
     "hati dan hendaklah bertindak di antara satu sama lain dengan semangat persaudaraan."},
    {"tl",
     "Ang lahat ng tao'y isinilang na malaya at pantay-pantay sa karangalan at mga karapatan. Sila'y pinagkalooban ng katwiran "
     "at budhi at dapat magpalagayan ang isa't isa sa diwa ng pagkakapatiran."},
    {"sw",
     "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri, hivyo yapasa watendeane "
     "kindugu."},
    {"af",
     "Alle menslike wesens word vry, met gelyke waardigheid en regte, gebore. Hulle het rede en gewete en behoort in die gees "
     "van broederskap teenoor mekaar op te tree."},
    {"eo", "Ĉiuj homoj estas denaske liberaj kaj egalaj laŭ digno kaj rajtoj. Ili posedas racion kaj konsciencon."},
    {"br", "Dieub ha par en o dellezegezh hag o gwirioù eo ganet an holl dud. Poell ha skiant zo dezho."},
    {"oc", "Totes los èssers umans naisson liures e egals en dignitat e en dreches. Son dotats de rason e de consciéncia."},
    {"mn", "Хүн бүр төрж мэндлэхдээ эрх чөлөөтэй, адилхан нэр төртэй, ижил эрхтэй байдаг."},
    {"ht",
     "Tout moun fèt lib, egal ego pou diyite kou wè dwa. Nou gen la rezon ak la konsyans epi nou fèt pou nou aji youn ak lòt "
     "ak yon lespri fwatènite."},
    {"yi",
     "יעדער מענטש װערט געבױרן פֿרײַ און גלײַך אין כּבֿוד און רעכט. יעדער װערט באַשאָנקן מיט פֿאַרשטאַנד און געװיסן; יעדער זאָל זיך פֿירן "
     "מיט אַ צװײטן אין אַ געמיט פֿון ברודערשאַפֿט."},
};

TEST(Language, OneSentenceOfEach) {
  std::set<std::string> told;
  for (const auto& [code, text] : kSentences) {
    EXPECT_EQ(detect_language(text).code, code) << text;
    EXPECT_TRUE(is_language_code(code)) << code;
    told.insert(code);
  }
  EXPECT_GE(told.size(), 60u);
}

TEST(Language, SharesSamplesAndCode) {
  const std::string english = std::string(kSentences[0].text) + "\n", german = std::string(kSentences[1].text) + "\n";
  EXPECT_GT(detect_language(english).share, 0.9);
  const Language mixed = detect_language(english + english + german);
  EXPECT_EQ(mixed.code, "en");
  EXPECT_LT(mixed.share, 0.8);
  EXPECT_EQ(detect_language(german + german + english + german + german, static_cast<int64_t>(english.size())).code, "en");
  EXPECT_EQ(detect_language("```\n" + english + english + "```\n" + german).code, "de");
  EXPECT_EQ(detect_language("").code, "un");
  EXPECT_EQ(detect_language("12345 67890 +-*/").code, "un");
  EXPECT_FALSE(is_language_code("xx-none"));
  EXPECT_FALSE(is_language_code("iw"));
}

}  // namespace
}  // namespace bgl::prep
