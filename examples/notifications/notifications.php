<?php
// Notifications of a typical PHP site: stored in a database, and polled by the page.
//
//   GET  /notifications?user=U&after=N   notifications after number N, as a JSON array
//   POST /notifications?user=U           adds one with the text of the form
//
// NOTIFICATIONS_DATABASE is the path of the database file.

declare(strict_types=1);

function answer(int $status, mixed $value): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    header('Cache-Control: no-store');
    exit(json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE));
}

if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/notifications') {
    answer(404, ['error' => 'there is nothing here but /notifications']);
}

$user = $_GET['user'] ?? '';
if (!is_string($user) || !preg_match('/^[a-z]{1,20}$/D', $user)) {
    answer(400, ['error' => 'user is a name of up to 20 small letters']);
}

$database = new PDO('sqlite:' . getenv('NOTIFICATIONS_DATABASE'));
$database->exec('CREATE TABLE IF NOT EXISTS notification (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL,
    text TEXT NOT NULL,
    time INTEGER NOT NULL)');

switch ($_SERVER['REQUEST_METHOD']) {
    case 'GET':
        $after = filter_var($_GET['after'] ?? '0', FILTER_VALIDATE_INT, ['options' => ['min_range' => 0]]);
        if ($after === false) {
            answer(400, ['error' => 'after is the number of a notification']);
        }
        $query = $database->prepare('SELECT id, text, time FROM notification WHERE user = ? AND id > ? ORDER BY id');
        $query->execute([$user, $after]);
        answer(200, $query->fetchAll(PDO::FETCH_ASSOC));

    case 'POST':
        $text = $_POST['text'] ?? '';
        if (!is_string($text) || trim($text) === '' || strlen($text) > 1000) {
            answer(400, ['error' => 'text is missing, or longer than 1000 bytes']);
        }
        $time = (int) (microtime(true) * 1000);
        $database->prepare('INSERT INTO notification (user, text, time) VALUES (?, ?, ?)')->execute([$user, trim($text), $time]);
        answer(201, ['id' => (int) $database->lastInsertId()]);

    default:
        header('Allow: GET, POST');
        answer(405, ['error' => 'GET and POST are allowed']);
}
