// A server on JSSE: on its sockets, or on com.sun.net.httpserver, as the first argument says (sockets, httpserver).
// The second is the list that compiled.py describes.

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public final class Server {
    private static final char[] NO_PASSWORD = new char[0];
    private static final byte[] WELCOME = "welcome\n".getBytes(StandardCharsets.US_ASCII);
    private static final String HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
    private static final ExecutorService THREADS = Executors.newCachedThreadPool();

    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            String[] fields = line.split("\t");
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys(fields[4], fields[5]), trust(fields[6]).getTrustManagers(), null);
            int port = Integer.parseInt(fields[0]);
            if (arguments[0].equals("sockets")) {
                onSockets(context, port, fields);
            } else {
                onHttpServer(context, port, fields);
            }
        }
    }

    private static SSLParameters parameters(SSLContext context, String[] fields) {
        SSLParameters parameters = context.getDefaultSSLParameters();
        boolean one = fields[2].equals(fields[3]);
        parameters.setProtocols(
            one ? new String[] {"TLSv" + fields[2]} : new String[] {"TLSv" + fields[2], "TLSv" + fields[3]});
        if (fields[1].equals("optional")) {
            parameters.setWantClientAuth(true);
        } else if (fields[1].equals("required")) {
            parameters.setNeedClientAuth(true);
        }
        return parameters;
    }

    private static void onHttpServer(SSLContext context, int port, String[] fields) throws IOException {
        HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override
            public void configure(HttpsParameters chosen) {
                chosen.setSSLParameters(parameters(context, fields));
            }
        });
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, WELCOME.length);
            exchange.getResponseBody().write(WELCOME);
            exchange.close();
        });
        server.setExecutor(THREADS);
        server.start();
    }

    private static void onSockets(SSLContext context, int port, String[] fields) throws IOException {
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket(port, 50, InetAddress.getByName("127.0.0.1"));
        server.setSSLParameters(parameters(context, fields));
        THREADS.execute(() -> {
            while (true) {
                try {
                    SSLSocket caller = (SSLSocket) server.accept();
                    THREADS.execute(() -> answer(caller));
                } catch (IOException broken) {
                    System.err.println(broken);
                }
            }
        });
    }

    private static void answer(SSLSocket caller) {
        try (caller) {
            BufferedReader lines =
                new BufferedReader(new InputStreamReader(caller.getInputStream(), StandardCharsets.US_ASCII));
            for (String line = lines.readLine(); line != null && !line.isEmpty(); line = lines.readLine()) {
                continue;
            }
            caller.getOutputStream().write(HEAD.getBytes(StandardCharsets.US_ASCII));
            caller.getOutputStream().write(WELCOME);
        } catch (IOException refused) {
            System.err.println(refused);
        }
    }

    private static KeyManager[] keys(String chain, String key) throws GeneralSecurityException, IOException {
        Certificate[] certificates = certificates(chain);
        String text = Files.readString(Path.of(key)).replaceAll("-----[A-Z ]+-----|\\s", "");
        PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text));
        PrivateKey privateKey =
            KeyFactory.getInstance(certificates[0].getPublicKey().getAlgorithm()).generatePrivate(encoded);
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry("server", privateKey, NO_PASSWORD, certificates);
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(store, NO_PASSWORD);
        return factory.getKeyManagers();
    }

    private static TrustManagerFactory trust(String authorities) throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (Certificate authority : certificates(authorities)) {
            store.setCertificateEntry(Integer.toString(store.size()), authority);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return factory;
    }

    private static Certificate[] certificates(String path) throws GeneralSecurityException, IOException {
        try (InputStream file = Files.newInputStream(Path.of(path))) {
            return CertificateFactory.getInstance("X.509").generateCertificates(file).toArray(new Certificate[0]);
        }
    }
}
